/**
 * ● After a restore nothing is deleted until somebody has accepted it: the metadata may be older than the blocks, so
 * that living blocks look dead. Whoever restores writes the row `m/restored`; accepting removes it.
 */
import { CairnError } from '@cairn/protocol'
import type { KeyValueStore, StoreKey, StoreRow } from '../../ports.js'

/** Its value tells who restored what; its presence alone counts. */
export const RESTORED_KEY: StoreKey = Buffer.from('m/restored')

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
