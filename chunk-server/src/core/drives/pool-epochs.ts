/**
 * The highest epoch of each pool that a drive was written by, kept in `epochs.json`. A writer that placed a block by
 * an older one may have sent it to a drive that has left its group, so its writes are refused, also after a restart.
 */
import { CairnError, encodeCheckedJson, hasCode, isCheckGood } from '@cairn/protocol'
import type { Disk } from '../../ports.js'
import { parseFields } from './json-fields.js'

const EPOCHS_FILE = 'epochs.json'
const FORMAT = 1

/** The epochs of one drive. */
export interface PoolEpochs {
  /** Resolves once `epoch` is durable, at once if it was; `StaleClusterMap` if a higher one was seen. */
  admit(pool: number, epoch: number): Promise<void> | undefined
  /** `admit` would have nothing to do and nothing to refuse. */
  isDurable(pool: number, epoch: number): boolean
  /** 0 for a pool never seen. */
  highest(pool: number): number
}

/**
 * Reads a drive's epochs. If the file is damaged the pools' current ones are asked for, which are at least as high:
 * forgetting them would admit stale writers. `DriveFailed` if nobody can be asked.
 */
export async function openPoolEpochs(
  disk: Disk,
  currentEpochs?: () => Promise<ReadonlyMap<number, number>>,
): Promise<PoolEpochs> {
  const content = await disk.readSmall(EPOCHS_FILE)
  if (content === undefined) return new StoredEpochs(disk, new Map())
  try {
    return new StoredEpochs(disk, parseEpochs(content))
  } catch (error) {
    if (currentEpochs === undefined || !hasCode(error, 'DriveFailed')) throw error
    return rebuild(disk, await currentEpochs().catch((cause: unknown) => Promise.reject(damaged(cause))))
  }
}

async function rebuild(disk: Disk, current: ReadonlyMap<number, number>): Promise<PoolEpochs> {
  const epochs = new StoredEpochs(disk, new Map())
  await epochs.replace(current)
  return epochs
}

class StoredEpochs implements PoolEpochs {
  private readonly disk: Disk
  private readonly durable: Map<number, number>
  private readonly seen: Map<number, number>
  private writing: Promise<void> = Promise.resolve()

  constructor(disk: Disk, durable: Map<number, number>) {
    this.disk = disk
    this.durable = durable
    this.seen = new Map(durable)
  }

  highest(pool: number): number {
    return this.seen.get(pool) ?? 0
  }

  admit(pool: number, epoch: number): Promise<void> | undefined {
    const highest = this.highest(pool)
    if (epoch < highest) throw staleMap({ pool, epoch, highest })
    this.seen.set(pool, epoch)
    return (this.durable.get(pool) ?? 0) >= epoch ? undefined : this.persist(pool, epoch)
  }

  isDurable(pool: number, epoch: number): boolean {
    return this.highest(pool) === epoch && (this.durable.get(pool) ?? 0) >= epoch
  }

  /** One write at a time; those who wait behind it find their epoch already written more often than not. */
  private persist(pool: number, epoch: number): Promise<void> {
    const next = this.writing
      .catch(() => undefined)
      .then(async () => {
        if ((this.durable.get(pool) ?? 0) >= epoch) return
        await this.replace(new Map(this.seen))
      })
    this.writing = next
    return next
  }

  /** Makes these epochs durable. */
  async replace(epochs: ReadonlyMap<number, number>): Promise<void> {
    const text = encodeCheckedJson({ format: FORMAT, pools: Object.fromEntries(epochs) })
    await this.disk.replace(EPOCHS_FILE, Buffer.from(text))
    for (const [pool, epoch] of epochs) {
      this.durable.set(pool, epoch)
      this.seen.set(pool, Math.max(epoch, this.seen.get(pool) ?? 0))
    }
  }
}

/** The refusal of a writer whose cluster map is too old. */
export function staleMap(facts: { pool: number; epoch: number; highest: number }): CairnError {
  const { pool, epoch, highest } = facts
  const message = `pool ${pool} is at epoch ${highest}, the writer placed by ${epoch}`
  return new CairnError('StaleClusterMap', message, { details: { epoch: String(highest) } })
}

function parseEpochs(content: Uint8Array): Map<number, number> {
  const fields = parseFields(content, damaged)
  if (!isCheckGood(fields)) throw damaged()
  const { format, pools } = fields
  if (typeof format === 'number' && format > FORMAT) {
    throw new CairnError('FormatTooNew', `${EPOCHS_FILE} has format ${format}; this version knows ${FORMAT}`)
  }
  if (format !== FORMAT || typeof pools !== 'object' || pools === null) throw damaged()
  return new Map(
    Object.entries(pools).map(([pool, epoch]) => [safeInteger(Number(pool)), safeInteger(epoch)]),
  )
}

function safeInteger(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw damaged()
}

function damaged(cause?: unknown): CairnError {
  return new CairnError('DriveFailed', `${EPOCHS_FILE} is damaged; delete it when no old writer is left`, {
    details: { reason: 'damaged' },
    cause,
  })
}
