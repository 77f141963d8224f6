"""The IPFS gateway: what published packages contain, by its CID (docs/reference/public.md)."""
