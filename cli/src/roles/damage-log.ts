/** Damage in the log, with ids as people search for them. */
import type { DamageEvent } from '@cairn/chunk-server'
import type { BlockDamage } from '@cairn/client'
import { formatId } from '@cairn/protocol'
import type { Logger } from '../log.js'

const REPLICA_SAYS = {
  corrupt: 'damaged replica',
  // Groups move while they are read from, and a reader's map may be a moment old.
  missing: 'no replica where the map of this moment has one',
} as const satisfies Record<BlockDamage['kind'], string>

/** A replica that a reader found corrupt or missing; the read went on with another. */
export function logReplicaDamage(log: Logger): (damage: BlockDamage) => void {
  return (damage) => log.warn({ ...damage, block: formatId(damage.block) }, REPLICA_SAYS[damage.kind])
}

/** What a drive found wrong with itself. */
export function logDriveDamage(log: Logger, folder: string): (event: DamageEvent) => void {
  return (event) => {
    const block = event.block === undefined ? {} : { block: formatId(event.block) }
    log.warn({ ...event, ...block, folder }, 'damage on a drive')
  }
}
