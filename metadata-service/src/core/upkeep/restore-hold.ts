/**
 * ● After a restore nothing is deleted until somebody has accepted it: the metadata may be older than the blocks, so
 * that living blocks look dead. Whoever restores writes the row `m/restored`, and so does a service that sees its store
 * go back; accepting removes it.
 */
import { CairnError, integer, type Message, message, required, text } from '@cairn/protocol'
import type { KeyValueStore, Put, StoreKey, StoreRow } from '../../ports.js'

/** Its presence alone counts. */
export const RESTORED_KEY: StoreKey = Buffer.from('m/restored')

/** What stands behind `m/restored`: who holds the garbage collection, and since when. */
interface RestoredRow {
  readonly incarnation: string
  readonly atMs: number
}
const RestoredRow: Message<RestoredRow> = message<RestoredRow>('RestoredRow', 1, {
  incarnation: required(1, text),
  atMs: required(2, integer),
})

/** Writes the row. */
export function restoredPut(row: RestoredRow): Put {
  return { key: RESTORED_KEY, value: RestoredRow.encode(row) }
}

/** Keeps garbage from now on, in a store that serves. */
export async function holdGarbage(store: Pick<KeyValueStore, 'commit'>, row: RestoredRow): Promise<void> {
  await store.commit({
    compares: [],
    puts: [restoredPut(row)],
    proof: { keys: [RESTORED_KEY], carries: ([found]) => found !== undefined },
  })
}

/** Whether garbage must stay. A read that fails rejects: then it stays too. */
export async function isGarbageHeld(store: KeyValueStore): Promise<boolean> {
  return (await readHold(store)) !== undefined
}

/** Lets garbage be collected again. Idempotent. `Busy` if the row was written anew at this moment. */
export async function acceptRestore(store: KeyValueStore): Promise<void> {
  const row = await readHold(store)
  if (row === undefined) return
  const { key, revision } = row
  const result = await store.commit({
    compares: [{ kind: 'revision', key, revision }],
    deletes: [key],
    proof: { keys: [key], carries: (rows) => rows[0] === undefined },
  })
  if (!result.committed && (await isGarbageHeld(store))) {
    throw new CairnError('Busy', 'the metadata was restored again')
  }
}

async function readHold(store: KeyValueStore): Promise<StoreRow | undefined> {
  const { results } = await store.readAuthority([{ kind: 'get', key: RESTORED_KEY }])
  return results[0]?.[0]
}
