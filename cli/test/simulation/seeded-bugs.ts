/** Bugs of the kind that such systems have had, put in from outside: each must be found by the oracle. */
import { createHash } from 'node:crypto'
import type { Disk, DiskFile } from '@cairn/chunk-server'
import type { EntryStore } from '@cairn/metadata-service'
import {
  type BlockId,
  deleteBlocks,
  type Network,
  type Unit,
  type UnitStream,
  unitCheck,
} from '@cairn/protocol'
import { wrapCalls } from './late-repeats.js'
import { pause, type SimulatedProcess } from './process.js'
import type { SeededBug, World } from './world.js'

/** Each by what is wrong. */
export const BUGS: Readonly<Record<string, SeededBug>> = {
  'a disk whose sync does nothing': { disk: (disk) => withSync(disk, async () => undefined) },
  'a drive that acknowledges before its sync': { disk: acknowledgeEarly },
  'a drive that does not sync its folders': {
    disk: (disk) => wrapDisk(disk, { syncFolder: async () => undefined }),
  },
  'a network that repeats a change as a new one': { clientNetwork: repeatAsNew },
  'a garbage worker that ignores references': { store: hideReferences },
  'an orphan worker that takes every session for gone': { store: hideSessions },
  'a store that loses an acknowledged entry': { store: loseEntries },
  'a store that reads stale rows': { store: readStale },
  'a reader that does not verify units': { clientNetwork: corruptRanges },
  'a drive that answers for what it has not stored': { clientNetwork: pretendStored },
  'a garbage worker that forgets a drive': { metadataNetwork: forgetDeletes },
  'a repair that takes every group for whole': { metadataNetwork: pretendWhole },
}

type Reads = Parameters<EntryStore['read']>[0]

function wrapDisk(disk: Disk, changes: Partial<Disk>): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    replace: (path, content) => disk.replace(path, content),
    readSmall: (path) => disk.readSmall(path),
    list: (folder) => disk.list(folder),
    makeFolder: (path) => disk.makeFolder(path),
    remove: (path) => disk.remove(path),
    rename: (from, to) => disk.rename(from, to),
    syncFolder: (folder) => disk.syncFolder(folder),
    space: () => disk.space(),
    ...changes,
  }
}

function withSync(disk: Disk, sync: (file: DiskFile) => Promise<void>): Disk {
  return wrapDisk(disk, {
    async open(path, mode) {
      const file = await disk.open(path, mode)
      if (file === undefined) return undefined
      return {
        read: (into, offset) => file.read(into, offset),
        write: (buffers, offset) => file.write(buffers, offset),
        sync: () => sync(file),
        size: () => file.size(),
        close: () => file.close(),
      }
    },
  })
}

/** The real sync comes seconds later. */
function acknowledgeEarly(disk: Disk, _world: World, process: SimulatedProcess): Disk {
  return withSync(disk, async (file) => {
    pause(process.clock, 4_000)
      .then(() => file.sync())
      .catch(() => undefined)
  })
}

function repeatAsNew(network: Network, world: World): Network {
  return wrapCalls(network, async (method, request, options, call) => {
    const reply = await call(method, request, options)
    const isDelete = method.name === 'DeleteObjects' && world.chance(0.3)
    if (isDelete && typeof request === 'object' && request !== null && 'items' in request) {
      const items = (request.items as { op: Uint8Array }[]).map((item) => ({
        ...item,
        op: Buffer.concat([item.op.subarray(0, 8), world.random.bytes(8)]),
      }))
      world.clock.setTimer(500, () => {
        call(method, { ...request, items }, { deadlineMs: 5_000 }).catch(() => undefined)
      })
    }
    return reply
  })
}

function wrapStore(store: EntryStore, changes: Partial<EntryStore>): EntryStore {
  return {
    apply: (entry) => store.apply(entry),
    read: (reads) => store.read(reads),
    rowsAt: (keys, revision) => store.rowsAt(keys, revision),
    watch: (range, fromRevision, signal) => store.watch(range, fromRevision, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
    ...changes,
  }
}

function startsWith(key: Uint8Array, prefix: string): boolean {
  return Buffer.from(key.subarray(0, prefix.length)).toString('latin1') === prefix
}

function hideReferences(store: EntryStore): EntryStore {
  return hideRows(store, (read) => read.kind === 'scan' && startsWith(read.range.from, 'r/'))
}

/** The first look at a session, by the service that opened it, is right. */
function hideSessions(store: EntryStore): EntryStore {
  const seen = new Set<string>()
  return hideRows(store, (read) => {
    if (read.kind !== 'get' || !startsWith(read.key, 's/')) return false
    const name = Buffer.from(read.key).toString('hex')
    const isKnown = seen.has(name)
    seen.add(name)
    return isKnown
  })
}

function hideRows(store: EntryStore, isHidden: (read: Reads[number]) => boolean): EntryStore {
  return wrapStore(store, {
    async read(reads) {
      const { revision, results } = await store.read(reads)
      return { revision, results: results.map((rows, at) => (reads[at] && isHidden(reads[at]) ? [] : rows)) }
    },
  })
}

/** Whatever is compared with the row of a session holds. */
/** One entry in twenty is acknowledged and forgotten. */
function loseEntries(store: EntryStore, world: World): EntryStore {
  return wrapStore(store, {
    async apply(entry) {
      if (entry.commits.length === 0 || !world.chance(0.05)) return store.apply(entry)
      const { revision } = await store.read([])
      return entry.commits.map(() => ({ committed: true, revision: revision + 1 }))
    },
  })
}

/** Single rows of keys come from a cache that nobody clears for a second. */
function readStale(store: EntryStore, world: World): EntryStore {
  const cache = new Map<
    string,
    { readonly untilMs: number; readonly result: ReturnType<EntryStore['read']> }
  >()
  return wrapStore(store, {
    read(reads) {
      if (!reads.some((read) => read.kind === 'get' && startsWith(read.key, 'o/'))) return store.read(reads)
      const name = createHash('sha1').update(JSON.stringify(reads)).digest('hex')
      const nowMs = world.clock.monotonicMs()
      const cached = cache.get(name)
      if (cached !== undefined && cached.untilMs > nowMs) return cached.result
      const result = store.read(reads)
      cache.set(name, { untilMs: nowMs + 1_000, result })
      return result
    },
  })
}

/**
 * The wire flips a bit now and then; a check word made anew is as good as none looked at. Only where a read starts
 * behind the first unit: there no hash of the whole block catches it.
 */
function corruptRanges(network: Network): Network {
  return wrapCalls(network, async (method, request, options, call) => {
    const reply = await call(method, request, options)
    if (method.name !== 'GetBlock') return reply
    const { block, offset } = request as { block: BlockId; offset: number }
    if (offset === 0) return reply
    const { firstUnit } = reply.response as { firstUnit: number }
    return { ...reply, body: flipBits(reply.body, block, firstUnit) }
  })
}

async function* flipBits(body: UnitStream, block: BlockId, firstUnit: number): AsyncGenerator<Unit> {
  let index = firstUnit
  for await (const unit of body) {
    const bytes = Buffer.from(unit.bytes)
    const middle = bytes.length >> 1
    bytes[middle] = (bytes[middle] ?? 0) ^ 1
    yield { bytes, check: unitCheck(block, index++, bytes) }
  }
}

/** Two drives of three take the bytes, say yes and keep nothing. */
function pretendStored(network: Network): Network {
  const liars = new Set<string>()
  return wrapCalls(network, async (method, request, options, call, command) => {
    if (method.name !== 'PutBlock') return call(method, request, options)
    const { drive, block } = request as { drive: string; block: BlockId }
    liars.add(drive)
    const reply = await call(method, request, options)
    if ([...liars].sort().indexOf(drive) < 2) {
      const undo = { drive, blocks: [block] }
      await command(deleteBlocks, undo, { deadlineMs: 5_000 }).catch(() => undefined)
    }
    return reply
  })
}

function forgetDeletes(network: Network): Network {
  const drives = new Set<string>()
  return wrapCalls(network, async (method, request, options, call) => {
    if (method.name !== 'DeleteBlocks') return call(method, request, options)
    const { drive } = request as { drive: string }
    drives.add(drive)
    if ([...drives].sort()[0] !== drive) return call(method, request, options)
    return { response: { deleted: 0, freedBytes: 0 } as never, body: noUnits() }
  })
}

/** Whatever a drive is asked for, it has: debts are paid off too early. */
function pretendWhole(network: Network): Network {
  return wrapCalls(network, async (method, request, options, call) => {
    const reply = await call(method, request, options)
    if (method.name !== 'FindBlocks') return reply
    const { blocks } = request as { blocks: BlockId[] }
    const found = blocks.map((block) => ({ block, sizeBytes: 0, hash: new Uint8Array(32), storedAtMs: 0 }))
    return { ...reply, response: { blocks: found } as never }
  })
}

async function* noUnits(): AsyncGenerator<Unit> {}
