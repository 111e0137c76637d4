/**
 * Brings a block from another drive to one of this server: the target pulls. ● Nothing of the block can be read
 * before its size and hash have been compared with what the caller knows, whatever the source sends. A good copy
 * that is there already is read whole before it is left alone.
 */
import {
  type BlockHasher,
  type BlockId,
  type BlockOwner,
  CairnError,
  createBlockHasher,
  type DriveId,
  getBlock,
  groupOf,
  hasCode,
  type RpcPeer,
  sameBytes,
  type TokenMint,
  toCairnError,
  type Unit,
  type UnitStream,
  withToken,
} from '@cairn/protocol'
import type { BlockStore, StoredBlock } from '../../ports.js'
import { SourcePeers, type SourcePeersOptions } from '../cluster/source-peers.js'
import { cancelled } from './unit-intake.js'

/** Copies under way: small ones share syncs, and each holds no more than the credit of its stream. */
const COPIES_AT_ONCE = 64

/** A block to be copied, with what it must come to. */
export interface BlockCopy extends StoredBlock {
  readonly block: BlockId
  readonly owner: BlockOwner
  readonly sourceDrive: DriveId
  readonly sourceAddress: string
}

/** How long a copy may take. */
export interface CopyControl {
  readonly signal: AbortSignal
  readonly deadlineMs: number
}

/** Where blocks come from, and by which tokens. */
export interface BlockCopierOptions extends SourcePeersOptions {
  readonly mint: TokenMint
}

export class BlockCopier {
  private readonly sources: SourcePeers
  private readonly mint: TokenMint
  private running = 0
  private readonly waiting: (() => void)[] = []

  constructor(options: BlockCopierOptions) {
    this.sources = new SourcePeers(options)
    this.mint = options.mint
  }

  /**
   * Stores the block, durably; returns the bytes written, 0 if a good copy was there. `BlockConflict` if the drive
   * holds other content under this id; `BlockCorrupt` if the source sends other content. What went wrong at the
   * source says so (`isOfSource`).
   */
  async copy(store: BlockStore, copy: BlockCopy, control: CopyControl): Promise<number> {
    while (this.running >= COPIES_AT_ONCE) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve)
      })
    }
    this.running++
    try {
      if (control.signal.aborted) throw cancelled(control.signal)
      if (await hasGoodCopy(store, copy, control)) return 0
      await this.sources.use(copy.sourceAddress, (peer) => {
        const token = this.mint.tokenOf({ method: getBlock.number, group: groupOf(copy.block) })
        return pull(peer, store, { ...copy, token }, control)
      })
      return copy.sizeBytes
    } finally {
      this.running--
      this.waiting.shift()?.()
    }
  }

  async close(): Promise<void> {
    await this.sources.close()
  }
}

/** True for a failure of the drive, or the server, that a block was to come from. */
export function isOfSource(error: unknown): boolean {
  return error instanceof CairnError && error.details.at === 'source'
}

async function hasGoodCopy(store: BlockStore, copy: BlockCopy, { signal }: CopyControl): Promise<boolean> {
  const [known] = await store.find([copy.block])
  if (known === undefined) return false
  const isSame = known.sizeBytes === copy.sizeBytes && sameBytes(known.hash, copy.hash)
  if (!isSame && known.damaged !== true) {
    throw new CairnError('BlockConflict', 'the drive holds this block with other content')
  }
  if (!isSame) return false
  const { damaged } = await store.verify([copy.block], { signal })
  return damaged.length === 0 && (await store.find([copy.block])).length > 0
}

async function pull(
  peer: RpcPeer,
  store: BlockStore,
  copy: BlockCopy & { readonly token: Uint8Array | undefined },
  control: CopyControl,
): Promise<void> {
  const { block, owner, sizeBytes, hash, sourceDrive, token } = copy
  const request = withToken({ drive: sourceDrive, block, offset: 0, length: sizeBytes }, token)
  const { response, body } = await peer.call(getBlock, request, control).catch((error: unknown) => {
    // No bytes so far in: its copy is a shorter one.
    throw hasCode(error, 'InvalidArgument') ? otherContent() : ofSource(error)
  })
  try {
    if (response.blockBytes !== sizeBytes || !sameBytes(response.hash, hash)) throw otherContent()
    await store.put(block, owner, expecting(body, copy), control)
  } catch (error) {
    // A body that was never begun must be left, or it keeps its credit until the deadline.
    await body[Symbol.asyncIterator]()
      .return?.()
      .catch(() => undefined)
    throw error
  }
}

/** The same units; ends with an error instead of the last step if they are not what was expected. */
async function* expecting(units: UnitStream, expected: StoredBlock): AsyncGenerator<Unit> {
  const hasher: BlockHasher = createBlockHasher()
  let sizeBytes = 0
  try {
    for await (const unit of units) {
      hasher.update(unit.bytes)
      sizeBytes += unit.bytes.length
      yield unit
    }
  } catch (error) {
    throw ofSource(error)
  }
  if (sizeBytes !== expected.sizeBytes || !sameBytes(hasher.digest(), expected.hash)) throw otherContent()
}

function otherContent(): CairnError {
  return ofSource(new CairnError('BlockCorrupt', 'the source holds other content'))
}

function ofSource(error: unknown): CairnError {
  const { code, message, details } = toCairnError(error)
  return new CairnError(code, `source: ${message}`, { cause: error, details: { ...details, at: 'source' } })
}
