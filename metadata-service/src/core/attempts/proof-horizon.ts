/**
 * ● Proofs in `g/` are removed in the end. Before the first of them goes, the row `m/proofs` tells up to which sequence
 * number proofs may be missing: who finds no proof above it knows that there was none, whichever clocks are wrong.
 */
import { integer, type Message, message, required } from '@cairn/protocol'
import type { KeyValueStore, Read, StoreKey, StoreRow } from '../../ports.js'

interface HorizonRow {
  readonly removedUntilSeq: number
}

const HorizonRow: Message<HorizonRow> = message<HorizonRow>('HorizonRow', 1, {
  removedUntilSeq: required(1, integer),
})

const HORIZON_KEY: StoreKey = Buffer.from('m/proofs')

/** To be read after the proofs, or with them. */
export const horizonRead: Read = { kind: 'get', key: HORIZON_KEY }

/** Proofs of this sequence number or a lower one may be missing. */
export function horizonOf(rows: readonly StoreRow[] | undefined): number {
  const row = rows?.[0]
  return row === undefined ? 0 : HorizonRow.decode(row.value).removedUntilSeq
}

/** Writes that proofs up to `seq` may be missing from now on; false if another service was faster: try again later. */
export async function raiseHorizon(store: KeyValueStore, seq: number): Promise<boolean> {
  const { results } = await store.readAuthority([horizonRead])
  const row = results[0]?.[0]
  if (horizonOf(results[0]) >= seq) return true
  const result = await store.commit({
    compares: [
      row === undefined
        ? { kind: 'absent', key: HORIZON_KEY }
        : { kind: 'revision', key: HORIZON_KEY, revision: row.revision },
    ],
    puts: [{ key: HORIZON_KEY, value: HorizonRow.encode({ removedUntilSeq: seq }) }],
    proof: {
      keys: [HORIZON_KEY],
      carries: ([found]) => horizonOf(found === undefined ? [] : [found]) >= seq,
    },
  })
  return result.committed
}
