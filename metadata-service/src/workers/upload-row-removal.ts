/** Removes the row of an upload that ended ten minutes ago and whose parts are gone. */
import { sameBytes } from '@cairn/protocol'
import { uploadRange } from '../core/rows/keys.js'
import { type GarbageRow, UploadRow } from '../core/rows/rows.js'
import { isLive } from '../core/uploads/uploads-state.js'
import type { KeyValueStore } from '../ports.js'

/** Uploads of one key that are looked through for one run. */
const UPLOADS_OF_KEY_MAX = 10_000

/** True once the upload that this clean-up row is about has no row any more. */
export async function removeUploadRow(store: KeyValueStore, garbage: GarbageRow): Promise<boolean> {
  const range = uploadRange(garbage.space, garbage.key)
  const { results } = await store.readAuthority([{ kind: 'scan', range, limit: UPLOADS_OF_KEY_MAX }])
  const rows = results[0] ?? []
  const found = rows.find(({ value }) => isEnded(UploadRow.decode(value), garbage))
  if (found === undefined) return true
  const { key, revision } = found
  const result = await store.commit({
    compares: [{ kind: 'revision', key, revision }],
    deletes: [key],
    proof: { keys: [key], carries: (now) => now[0] === undefined },
  })
  return result.committed
}

function isEnded(row: UploadRow, { op }: GarbageRow): boolean {
  return sameBytes(row.op, op) && !isLive(row)
}
