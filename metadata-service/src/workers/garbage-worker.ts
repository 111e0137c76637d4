/**
 * Works off the `g/` rows: frees the blocks that commits dropped, once the grace has passed and their map is dead.
 *
 * A row is freed first and removed later: it stays at least ten minutes as the proof that its operation ran. A
 * drive that does not answer keeps the row unfreed; the next run tries again. A crash between freeing and writing
 * that down frees again, which is harmless. Two services may work at once: each write compares the row's revision.
 */
import { type BlockMap, type Clock, sameBytes } from '@cairn/protocol'
import { raiseHorizon } from '../core/attempts/proof-horizon.js'
import { garbageRange, referenceKey, seqOfGarbage, successorOfKey } from '../core/rows/keys.js'
import { GarbageRow } from '../core/rows/rows.js'
import {
  coveredBytes,
  decide,
  type GarbageTask,
  isCleanUp,
  judgeMap,
  livenessReads,
  type MapLiveness,
  type MapOrigin,
  mapsOf,
  taskOf,
} from '../core/upkeep/garbage.js'
import type { Commit, KeyValueStore, StoreRow } from '../ports.js'
import type { BlockReclaimer } from '../ports-blocks.js'
import { freeInlineMaps, freeMap } from './garbage-free.js'
import { yieldTurn } from './periodic-worker.js'
import { cleanUpUpload } from './upload-clean-up.js'
import { removeUploadRow } from './upload-row-removal.js'

/** A row proves its operation for this long: longer than any retry of a client. */
const PROOF_KEPT_SECONDS = 600

/** Rows of one step. */
const ROWS_PER_STEP = 100
/** Maps judged by one read: two point reads each. */
const MAPS_PER_READ = 50
/** `r/` rows deleted by one commit. */
const REFERENCES_PER_STEP = 100

export interface GarbageWorkerOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly reclaimer: BlockReclaimer
  /** Age from which garbage is freed, as of now; 0 frees it at the next run. */
  graceSeconds(): number
}

/** What one run did, and what it left. */
export interface GarbageCounts {
  readonly freedBytes: number
  readonly freedRows: number
  readonly removedRows: number
  /** Rows whose blocks are not freed yet, and the bytes they cover; rows in their grace included. */
  readonly pendingRows: number
  readonly pendingBytes: number
}

interface Item {
  readonly storeRow: StoreRow
  readonly row: GarbageRow
  readonly task: GarbageTask
}

/** Tally of one run. */
interface Tally {
  freedBytes: number
  freedRows: number
  removedRows: number
  pendingRows: number
  pendingBytes: number
}

export class GarbageWorker {
  private readonly options: GarbageWorkerOptions
  private tally: Tally = newTally()

  constructor(options: GarbageWorkerOptions) {
    this.options = options
  }

  /** Goes through all rows once. */
  async runOnce(signal: AbortSignal = new AbortController().signal): Promise<GarbageCounts> {
    this.tally = newTally()
    const { store, clock } = this.options
    const all = garbageRange()
    let from = all.from
    while (!signal.aborted) {
      const range = { from, to: all.to }
      const { results } = await store.read([{ kind: 'scan', range, limit: ROWS_PER_STEP }])
      const rows = results[0] ?? []
      await this.workOff(rows, signal)
      const last = rows.at(-1)
      if (last === undefined || rows.length < ROWS_PER_STEP) break
      from = successorOfKey(last.key)
      await yieldTurn(clock)
    }
    return { ...this.tally }
  }

  private async workOff(rows: readonly StoreRow[], signal: AbortSignal): Promise<void> {
    const nowMicros = this.options.clock.wallMicros()
    const items = rows.map((storeRow): Item => {
      const row = GarbageRow.decode(storeRow.value)
      return { storeRow, row, task: taskOf(row) }
    })
    const graceSeconds = this.options.graceSeconds()
    const isOld = ({ row }: Item): boolean => ageSeconds(row, nowMicros) >= graceSeconds
    const ready = items.filter(isOld)
    for (const item of items) if (item.task !== 'none') this.countPending(item.row, 1)
    await this.removeProofs(ready, nowMicros)
    for (const item of ready) if (item.task === 'references') await this.deleteReferences(item)
    await this.freeVersions(ready.filter(({ task }) => task === 'version'))
    await this.freeAll(ready.filter(({ task }) => task === 'part'))
    for (const item of ready) if (item.task === 'upload' && !signal.aborted) await this.cleanUp(item, signal)
  }

  private async removeProofs(items: readonly Item[], nowMicros: number): Promise<void> {
    const old = items.filter(
      ({ row, task }) => task === 'none' && ageSeconds(row, nowMicros) >= PROOF_KEPT_SECONDS,
    )
    if (old.length === 0) return
    const last = Math.max(...old.map(({ storeRow }) => seqOfGarbage(storeRow.key)))
    if (!(await raiseHorizon(this.options.store, last))) return
    await Promise.all(old.map((item) => this.removeProof(item)))
  }

  /** The row of an upload's clean-up takes the upload's own row with it. */
  private async removeProof({ storeRow, row }: Item): Promise<void> {
    const { store } = this.options
    if (isCleanUp(row) && !(await removeUploadRow(store, row))) return
    const commit: Commit = { compares: [revisionOf(storeRow)], deletes: [storeRow.key] }
    const proof = { keys: [storeRow.key], carries: isGone }
    if ((await store.commit({ ...commit, proof })).committed) this.tally.removedRows++
  }

  private async deleteReferences({ storeRow, row }: Item): Promise<void> {
    const { store } = this.options
    const keys = row.references.map(({ map, referrer }) => referenceKey(map, referrer))
    for (let at = 0; at < keys.length; at += REFERENCES_PER_STEP) {
      const deletes = keys.slice(at, at + REFERENCES_PER_STEP)
      const proof = { keys: deletes.slice(0, 1), carries: isGone }
      const result = await store.commit({ compares: [revisionOf(storeRow)], deletes, proof })
      if (!result.committed) return
    }
    await this.rewrite(storeRow, { ...row, hasReferences: false })
  }

  private async freeVersions(items: readonly Item[]): Promise<void> {
    const maps = items.map(({ row }) => mapsOf(row))
    const liveness = await this.judge(maps.flat())
    let at = 0
    const free: Item[] = []
    const settled: Item[] = []
    for (const [index, item] of items.entries()) {
      const count = maps[index]?.length ?? 0
      const decision = decide(item.row, liveness.slice(at, at + count))
      at += count
      if (decision === 'free') free.push(item)
      if (decision === 'settle') settled.push(item)
    }
    await Promise.all(settled.map((item) => this.markFreed(item)))
    await this.freeAll(free)
  }

  private async judge(maps: readonly MapOrigin[]): Promise<MapLiveness[]> {
    const liveness: MapLiveness[] = []
    for (let at = 0; at < maps.length; at += MAPS_PER_READ) {
      const some = maps.slice(at, at + MAPS_PER_READ)
      const { results } = await this.options.store.readAuthority(some.flatMap(livenessReads))
      some.forEach(({ map }, index) => {
        liveness.push(judgeMap(map, results[index * 2] ?? [], results[index * 2 + 1] ?? []))
      })
    }
    return liveness
  }

  /** Frees what the rows name; those without pages all at once. */
  private async freeAll(items: readonly Item[]): Promise<void> {
    const inline = items.filter(({ row }) => row.map?.pages.length === 0)
    const maps = inline.flatMap(({ row }) => row.map ?? [])
    const { freedBytes, complete } = await freeInlineMaps(this.options.reclaimer, maps)
    this.tally.freedBytes += freedBytes
    await Promise.all(inline.filter((_, at) => complete[at] === true).map((item) => this.markFreed(item)))
    for (const item of items) {
      const { map } = item.row
      if (map !== undefined && map.pages.length > 0) await this.freePaged(item, map)
    }
  }

  private async freePaged(item: Item, map: BlockMap): Promise<void> {
    const { freedBytes, complete } = await freeMap(this.options.reclaimer, map)
    this.tally.freedBytes += freedBytes
    if (complete) await this.markFreed(item)
  }

  private async cleanUp(item: Item, signal: AbortSignal): Promise<void> {
    const { mapId } = item.row
    if (mapId === undefined) return
    const { freedBytes, complete } = await cleanUpUpload(this.options, mapId, item.row, signal)
    this.tally.freedBytes += freedBytes
    if (complete) await this.markFreed(item)
  }

  private async markFreed({ storeRow, row }: Item): Promise<void> {
    const { map: _map, ...rest } = row
    if (await this.rewrite(storeRow, { ...rest, freed: true })) {
      this.tally.freedRows++
      this.countPending(row, -1)
    }
  }

  private async rewrite(storeRow: StoreRow, row: GarbageRow): Promise<boolean> {
    const value = GarbageRow.encode(row)
    const carries = (rows: readonly (StoreRow | undefined)[]): boolean =>
      rows[0] !== undefined && sameBytes(rows[0].value, value)
    const result = await this.options.store.commit({
      compares: [revisionOf(storeRow)],
      puts: [{ key: storeRow.key, value }],
      proof: { keys: [storeRow.key], carries },
    })
    return result.committed
  }

  private countPending(row: GarbageRow, change: 1 | -1): void {
    this.tally.pendingRows += change
    if (!isCleanUp(row)) this.tally.pendingBytes += change * coveredBytes(row.map)
  }
}

function newTally(): Tally {
  return { freedBytes: 0, freedRows: 0, removedRows: 0, pendingRows: 0, pendingBytes: 0 }
}

function ageSeconds(row: GarbageRow, nowMicros: number): number {
  return (nowMicros - row.droppedMicros) / 1e6
}

function revisionOf({ key, revision }: StoreRow): { kind: 'revision'; key: Uint8Array; revision: number } {
  return { kind: 'revision', key, revision }
}

function isGone(rows: readonly (StoreRow | undefined)[]): boolean {
  return rows[0] === undefined
}
