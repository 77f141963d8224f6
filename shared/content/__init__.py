"""Content addressing: CIDs, UnixFS, CAR files and publish packages, pure and streaming.

The profile is `unixfs-v1-2025` of IPIP-0499 (https://specs.ipfs.tech/ipips/ipip-0499/): CIDv1, sha2-256, raw leaves of
1 MiB, a balanced DAG of at most 1024 links a node, directories as one block up to 256 KiB and as a HAMT of 256 links a
node above. Any implementation of that profile gives the same CIDs for the same files.
"""
