// Makes vectors.json, in an empty folder: npm install ipfs-unixfs-importer blockstore-core @ipld/car @ipld/dag-pb @multiformats/murmur3 && node vectors.mjs
import { importer } from 'ipfs-unixfs-importer'
import { MemoryBlockstore } from 'blockstore-core/memory'
import { BlackHoleBlockstore } from 'blockstore-core/black-hole'
import { CarWriter } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { murmur3128 } from '@multiformats/murmur3'
import { readFileSync, writeFileSync } from 'node:fs'
const MiB = 1024 * 1024
// content(size, seed): byte i = (7 i + 13 floor(i / 2^20) + seed) mod 256
function chunk(k, seed, length) {
  const b = new Uint8Array(length)
  for (let j = 0; j < Math.min(256, length); j++) b[j] = (7 * j + 13 * k + seed) & 255
  for (let have = 256; have < length; have *= 2) b.copyWithin(have, 0, Math.min(have, length - have))
  return b
}
function * content(size, seed) {
  for (let k = 0; k * MiB < size; k++) yield chunk(k, seed, Math.min(MiB, size - k * MiB))
}
const options = () => ({ profile: 'unixfs-v1-2025' })
async function file(size, seed) {
  let last
  for await (const e of importer([{ path: 'f', content: content(size, seed) }], new BlackHoleBlockstore(), options())) last = e
  return { size, seed, cid: last.cid.toString(), dag_size: Number(last.size) }
}
async function dir(files, store = new BlackHoleBlockstore(), more = {}) {
  const source = Object.entries(files).map(([path, [size, seed]]) => ({ path, content: content(size, seed) }))
  const dirs = {}
  let last
  for await (const e of importer(source, store, { ...options(), wrapWithDirectory: true, ...more })) { last = e; dirs[e.path ?? ''] = e.cid.toString() }
  return last
}
const sizes = [0, 1, 255, MiB - 1, MiB, MiB + 1, 2 * MiB, 3 * MiB, 3 * MiB + 17, 1023 * MiB, 1024 * MiB, 1024 * MiB + 1, 1025 * MiB, 2047 * MiB + 5]
const files = []
for (const size of sizes) { files.push(await file(size, 3)); console.error(size) }
files.push(await file(4096, 200))
const directories = []
async function add(name, spec) { const e = await dir(spec); directories.push({ name, files: spec, cid: e.cid.toString(), dag_size: Number(e.size) }) }
await add('one file', { 'a.txt': [5, 1] })
await add('order of names is by bytes', { 'b': [1, 1], 'a': [2, 2], 'B': [3, 3], '10': [4, 4], '9': [5, 5], 'é.png': [6, 6], '日本.json': [7, 7] })
await add('nested, with a file of several chunks', { 'artworks/1.png': [3 * MiB + 17, 3], 'artworks/2.png': [1000, 2], 'metadata/base/1.json': [300, 4], 'metadata/tezos/1.json': [301, 5], 'manifest.json': [77, 6] })
await add('the same file twice', { 'x/1': [1000, 2], 'x/2': [1000, 2] })
const numbered = []
for (const [count, pad] of [[4000, ''], [4600, ''], [10000, '']]) {
  const spec = {}
  for (let n = 1; n <= count; n++) spec[`${n}.json`] = [n % 300, n % 251]
  const e = await dir(spec)
  numbered.push({ count, name: '{n}.json', size: 'n % 300', seed: 'n % 251', cid: e.cid.toString(), dag_size: Number(e.size) })
}
// at the threshold: names of a fixed length, so that the flat block's size is known exactly
const threshold = []
for (const count of [4680, 4681, 4682, 4683]) {
  const spec = {}
  for (let n = 0; n < count; n++) spec[String(n).padStart(12, '0')] = [1, 9]
  const e = await dir(spec)
  threshold.push({ count, name: 'n in 12 digits', size: '1', seed: '9', cid: e.cid.toString(), dag_size: Number(e.size) })
}
const murmur = []
for (const text of ['', 'a', '1.json', '0123456789abcdef', '0123456789abcdefg', 'a longer name with spaces, and more than thirty-two bytes.png', '日本.json'])
  murmur.push({ text, first_8_bytes: Buffer.from((await murmur3128.encode(new TextEncoder().encode(text))).slice(0, 8)).toString('hex') })
// a CAR, its blocks depth-first, each once
const spec = { 'artworks/1.png': [2 * MiB + 5, 3], 'artworks/2.png': [40, 2], 'artworks/3.png': [40, 2], 'manifest.json': [7, 6] }
const store = new MemoryBlockstore()
const root = await dir(spec, store)
async function bytes(cid) { const parts = []; for await (const p of store.get(cid)) parts.push(p); return Buffer.concat(parts) }
const { writer, out } = CarWriter.create([root.cid])
const pieces = (async () => { const parts = []; for await (const p of out) parts.push(p); return Buffer.concat(parts) })()
const seen = new Set()
async function put(cid) {
  if (seen.has(cid.toString())) return
  seen.add(cid.toString())
  const data = await bytes(cid)
  await writer.put({ cid, bytes: data })
  if (cid.code === dagPb.code) for (const link of dagPb.decode(data).Links) await put(link.Hash)
}
await put(root.cid)
await writer.close()
const car = await pieces
const { createHash } = await import('node:crypto')
const version = n => JSON.parse(readFileSync(`node_modules/${n}/package.json`)).version
const note = {
  made_with: Object.fromEntries(['ipfs-unixfs-importer', 'ipfs-unixfs', '@ipld/dag-pb', '@ipld/car', 'multiformats', '@multiformats/murmur3', 'hamt-sharding'].map(n => [n, version(n)])),
  node: process.version,
  command: 'npm install ipfs-unixfs-importer blockstore-core @ipld/car @ipld/dag-pb @multiformats/murmur3, then node vectors.mjs',
  how: "importer(source, blockstore, {profile: 'unixfs-v1-2025', wrapWithDirectory: true for directories}); CAR: CarWriter of @ipld/car, blocks depth-first, each once",
  left_out: 'files of 2 GiB and more: the protons-runtime ' + version('protons-runtime') + ' below the importer writes numbers above 2^31 wrongly',
  content: 'byte i of content(size, seed) is (7 i + 13 floor(i / 2^20) + seed) mod 256; files are written as [size, seed]'
}
writeFileSync('vectors.json', JSON.stringify({ note, files, directories, numbered, threshold, murmur, car: { files: spec, root: root.cid.toString(), size: car.length, sha256: createHash('sha256').update(car).digest('hex') } }, null, 1))
