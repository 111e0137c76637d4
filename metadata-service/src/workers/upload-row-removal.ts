/** Removes the row of an upload that ended ten minutes ago and whose parts are gone. */
import { sameBytes } from '@cairn/protocol'
import { parseUploadKey, successorOfKey, uploadRange } from '../core/rows/keys.js'
import { type GarbageRow, UploadRow } from '../core/rows/rows.js'
import { isLive } from '../core/uploads/uploads-state.js'
import type { KeyValueStore, StoreRow } from '../ports.js'

/** Rows of one read. */
const ROWS_PER_READ = 1_000

/** True once the upload that this clean-up row is about has no row any more. */
export async function removeUploadRow(store: KeyValueStore, garbage: GarbageRow): Promise<boolean> {
  const found = await findEnded(store, garbage)
  if (found === undefined) return true
  const { key, revision } = found
  const result = await store.commit({
    compares: [{ kind: 'revision', key, revision }],
    deletes: [key],
    proof: { keys: [key], carries: (now) => now[0] === undefined },
  })
  return result.committed
}

/** Among all uploads of its key: when it began, and so its row's key, is not known. */
async function findEnded(
  store: KeyValueStore,
  { space, key, op }: GarbageRow,
): Promise<StoreRow | undefined> {
  let range = uploadRange(space, key)
  for (;;) {
    const { results } = await store.readAuthority([{ kind: 'scan', range, limit: ROWS_PER_READ }])
    const rows = results[0] ?? []
    const found = rows.find((row) => sameBytes(parseUploadKey(row.key).op, op))
    if (found !== undefined) return isLive(UploadRow.decode(found.value)) ? undefined : found
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_PER_READ) return undefined
    range = { from: successorOfKey(last.key), to: range.to }
  }
}
