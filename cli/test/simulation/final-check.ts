/** What must be true once all faults have ended: see `checkCluster`. */
import type { ConnectedClient } from '@cairn/client'
import { explainKey } from '@cairn/e2e/check'
import { type BlockMap, hasCode, type ListedVersion, listBlocks, type RpcPeer } from '@cairn/protocol'
import type { SimulatedCluster } from './cluster.js'
import type { Ledger } from './history.js'

import { pause } from './process.js'
import { BUCKET, KEYS, opOf, type Worker } from './worker.js'
import { mapOfUpload } from './worker-uploads.js'
import { identityOf } from './world.js'

/** Time after the end of all faults within which everything must succeed, in ms. */
const LIVENESS_MS = 30_000
/** Time that garbage and orphan runs get; the leases of dead clients end in it. */
const CLEAN_UP_MS = 40_000
/** Proofs of operations, and the rows of ended uploads, are kept for ten minutes. */
const PROOF_MS = 660_000

export interface CheckOptions {
  readonly cluster: SimulatedCluster
  readonly ledger: Ledger
  readonly worker: Worker
  readonly isVersioned: boolean
}

/** All operations succeed again in time; otherwise says which did not. */
export async function checkLiveness({ cluster, ledger, worker }: CheckOptions): Promise<void> {
  const { clock } = cluster.world
  const untilMs = clock.monotonicMs() + LIVENESS_MS
  if (!(await becomesWhole(cluster, ledger))) return
  for (const key of KEYS) {
    const isAlive = await succeeds(worker, untilMs, async () => {
      await worker.put(undefined, `probe/${key}`)
      if ((await worker.look(`probe/${key}`)) === undefined) ledger.violate(`a probe of ${key} has vanished`)
    })
    if (!isAlive) ledger.violate(`a probe of ${key} does not succeed in time`)
  }
}

async function becomesWhole(cluster: SimulatedCluster, ledger: Ledger): Promise<boolean> {
  const { clock } = cluster.world
  const untilMs = clock.monotonicMs() + LIVENESS_MS
  while (!cluster.isWhole && clock.monotonicMs() < untilMs) await pause(clock, 100)
  if (!cluster.isWhole) ledger.violate(`not whole in time: ${describeCluster(cluster)}`)
  return cluster.isWhole
}

function describeCluster({ nodes, chunks }: SimulatedCluster): string {
  const unready = nodes.filter(({ ready }) => !ready).map(({ name }) => name)
  const statuses = chunks.map(({ server }) => JSON.stringify(server?.status()))
  return `${unready.join()} not started; ${statuses.join(' ')}`
}

async function succeeds(worker: Worker, untilMs: number, action: () => Promise<void>): Promise<boolean> {
  let isDone = false
  while (!isDone && worker.world.clock.monotonicMs() < untilMs) {
    const act = async (): Promise<void> => {
      await action()
      isDone = true
    }
    await worker.act({ name: 'probe', act })
    if (!isDone) await pause(worker.world.clock, 100)
  }
  return isDone
}

/** Every acknowledged write is there byte by byte, nothing else is, and no row is without its blocks. */
export async function checkContent({ ledger, worker, isVersioned }: CheckOptions): Promise<void> {
  const readable: string[] = []
  for (const key of ledger.keys()) if (await isReadable(worker, key)) readable.push(key)
  await worker.list()
  const { objects } = await worker.client.listObjects(BUCKET)
  const listed = objects.map(({ key }) => key)
  if (listed.join('\n') !== readable.sort(byteOrder).join('\n')) {
    ledger.violate(`the listing shows ${listed.join()}, readable are ${readable.join()}`)
  }
  for (const key of ledger.keys()) {
    const trouble = explainKey(ledger, key, isVersioned)
    if (trouble !== undefined) ledger.violate(trouble)
  }
  if (isVersioned) await checkVersions(ledger, worker)
}

function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

async function isReadable(worker: Worker, key: string): Promise<boolean> {
  const found = await worker.look(key)
  if (found === undefined) return false
  try {
    await worker.compare(found)
  } catch (error) {
    worker.ledger.violate(`${key} (write ${opOf(found)}) has a row and cannot be read: ${error}`)
  }
  return true
}

async function checkVersions(ledger: Ledger, worker: Worker): Promise<void> {
  const present = new Set<number>()
  for (const { key, versionId, deleteMarker } of await allVersions(worker.client)) {
    if (deleteMarker) continue
    try {
      const found = await worker.client.openObject(BUCKET, key, { versionId })
      present.add(opOf(found))
      await worker.compare(found)
    } catch (error) {
      ledger.violate(`version ${versionId} of ${key} cannot be read: ${error}`)
    }
  }
  for (const [op, { isAcknowledged, deletion }] of ledger.written) {
    if (isAcknowledged && deletion === 'none' && !present.has(op))
      ledger.violate(`version of write ${op} is lost`)
    if (deletion === 'done' && present.has(op))
      ledger.violate(`version of write ${op} is back after its deletion`)
  }
}

/** Every version and marker; the listing is complete in one page. */
async function allVersions(client: ConnectedClient): Promise<readonly ListedVersion[]> {
  return (await client.listVersions(BUCKET)).versions
}

/** Several garbage runs. What the orphan worker has seen held it looks at again only after a day, or a restart. */
const SETTLE_MS = 12_000

/** Good copies of every living block, once repair has had its time. */
const COPIES = 3

/** A block on the drives: for whom it was written, and which servers have it. */
interface Stored {
  readonly map: string
  readonly key: string
  readonly servers: readonly string[]
  /** Those of them whose copy is not known to be damaged. */
  readonly good: readonly string[]
}

/**
 * The blocks left on the drives are those that visible versions refer to, each in all its copies. Two things may
 * stay for some time: what is entangled by part copies, and one copy of a part that was replaced or aborted, if repair
 * or its writer put it on a drive that had been looked through before. Repair cannot tell such a copy from one that is
 * named, and makes the others, if the map has pages or is not in the row where it was born. Once everything is deleted
 * and the orphan worker starts afresh, nothing is left at all.
 */
export async function checkBlocks({ cluster, ledger, worker }: CheckOptions): Promise<void> {
  const { client } = worker
  const aborted = await abortUploads(client)
  const versions = await allVersions(client)
  const { referenced, maps, unseen } = await referencedBlocks(client, versions)
  // The blocks of a living session are nobody's garbage yet.
  for (const node of cluster.clients) node.crash(0)
  cluster.world.clock.jumpWall(PROOF_MS)
  const isKept = (block: string, { map, servers }: Stored): boolean => {
    const isLate = maps.has(map) || aborted.has(map)
    const isLateCopy = isLate && (servers.length === 1 || unseen.has(map))
    return referenced.has(block) || ledger.entangled.has(map) || isLateCopy
  }
  await checkStored(cluster, ledger, (stored) => {
    const leaked = [...stored].filter(([block, facts]) => !isKept(block, facts))
    const scarce = [...referenced].filter(([block]) => (stored.get(block)?.good.length ?? 0) < COPIES)
    return describeTrouble(leaked, scarce)
  })
  if (ledger.violations.length > 0 || !(await becomesWhole(cluster, ledger))) return
  await deleteEverything(cluster, versions)
  cluster.world.clock.jumpWall(PROOF_MS)
  await pause(cluster.world.clock, SETTLE_MS)
  for (const node of cluster.services) node.crash(0)
  await checkStored(cluster, ledger, (stored) => describeTrouble([...stored], []))
}

async function checkStored(
  cluster: SimulatedCluster,
  ledger: Ledger,
  compare: (stored: Map<string, Stored>) => string | undefined,
): Promise<void> {
  const { clock } = cluster.world
  const untilMs = clock.monotonicMs() + CLEAN_UP_MS
  for (;;) {
    await pause(clock, 4_000)
    const trouble = compare(await storedBlocks(cluster))
    if (trouble === undefined) return
    if (clock.monotonicMs() >= untilMs) return ledger.violate(trouble)
  }
}

async function deleteEverything(
  cluster: SimulatedCluster,
  versions: readonly ListedVersion[],
): Promise<void> {
  const client = cluster.clients[0]?.client
  const targets = versions.map(({ key, versionId }) => ({ key, versionId }))
  for (const { errorMessage } of (await client?.deleteObjects(BUCKET, targets)) ?? []) {
    if (errorMessage !== undefined) throw new Error(`the bucket cannot be emptied: ${errorMessage}`)
  }
  await client?.deleteBucket(BUCKET)
}

/** The ids of their maps. */
async function abortUploads(client: ConnectedClient): Promise<Set<string>> {
  const { uploads } = await client.listUploads(BUCKET)
  for (const { key, uploadId } of uploads) {
    await client.abortUpload({ bucket: BUCKET, key, uploadId }).catch((error: unknown) => {
      if (!hasCode(error, 'NoSuchUpload')) throw error
    })
  }
  return new Set(uploads.map(({ uploadId }) => mapOfUpload(uploadId)))
}

/** What visible versions refer to: the key by block, and the ids of their maps. */
interface References {
  readonly referenced: Map<string, string>
  readonly maps: Set<string>
  /** Those of the maps that repair does not see: with pages, or of older versions. */
  readonly unseen: Set<string>
}

async function referencedBlocks(
  client: ConnectedClient,
  versions: readonly ListedVersion[],
): Promise<References> {
  const referenced = new Map<string, string>()
  const maps = new Set<string>()
  const unseen = new Set<string>()
  for (const { key, versionId, isLatest } of versions.filter(({ deleteMarker }) => !deleteMarker)) {
    const { map, mapId } = await client.headObject(BUCKET, key, { versionId })
    if (mapId !== undefined) maps.add(hex(mapId))
    if (map === undefined) continue
    if (mapId !== undefined && isUnseen(map, isLatest)) unseen.add(hex(mapId))
    for (const page of map.pages) referenced.set(hex(page.slice.block), key)
    for await (const slice of client.slicesOf(map)) referenced.set(hex(slice.block), key)
  }
  return { referenced, maps, unseen }
}

function isUnseen({ pages }: BlockMap, isLatest: boolean): boolean {
  return pages.length > 0 || !isLatest
}

function describeTrouble(leaked: [string, Stored][], scarce: [string, string][]): string | undefined {
  if (leaked.length + scarce.length === 0) return undefined
  const leaks = leaked.map(
    ([block, { key, servers }]) => `leaked block ${block} of ${key} on ${servers.join()}`,
  )
  return [...leaks, ...scarce.map(([block, key]) => `block ${block} of ${key} is lost or scarce`)].join('\n')
}

async function storedBlocks(cluster: SimulatedCluster): Promise<Map<string, Stored>> {
  const blocks = new Map<string, Stored>()
  const network = cluster.world.network.host('inspector')
  for (const { name, server } of cluster.chunks) {
    const peer = network.connect(`local:${name}`, identityOf('metadata', 'inspector'), 'chunk')
    for (const { drive } of server?.status().drives ?? []) {
      if (drive !== undefined) await addBlocks(blocks, peer, { drive, name })
    }
    await peer.close()
  }
  return blocks
}

async function addBlocks(
  blocks: Map<string, Stored>,
  peer: RpcPeer,
  { drive, name }: { drive: string; name: string },
): Promise<void> {
  const request = { drive, limit: 1_000, withOwner: true }
  const { response } = await peer.call(listBlocks, request, { deadlineMs: 5_000 })
  if (!response.complete) throw new Error('more blocks than fit one page')
  for (const { block, owner, damaged } of response.blocks) {
    const known = blocks.get(hex(block))
    blocks.set(hex(block), {
      map: hex(owner?.map ?? new Uint8Array()),
      key: owner?.key ?? '',
      servers: [...(known?.servers ?? []), name],
      good: [...(known?.good ?? []), ...(damaged === true ? [] : [name])],
    })
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
