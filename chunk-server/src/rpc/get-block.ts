import {
  BLOCK_BYTES_MAX,
  CairnError,
  type GetBlockRequest,
  type GetBlockResponse,
  getBlock,
  groupOf,
  type RpcHandler,
  type RpcRouter,
  type TokenCheck,
  type Unit,
  type UnitSource,
  type UnitStream,
} from '@cairn/protocol'
import type { ServedDrive } from '../core/drives/drive.js'
import type { DriveSet } from '../core/drives/drive-set.js'
import { ownedBlockId } from './arguments.js'

/** Reads the units of a block that cover a range. */
export function handleGetBlock(router: RpcRouter, drives: DriveSet, tokens: TokenCheck): void {
  const handler: RpcHandler<GetBlockRequest, GetBlockResponse> = async (request, call) => {
    const { offset, length } = checkedRange(request)
    requireToken(request, tokens)
    const drive = drives.get(request.drive)
    const store = drive.readable()
    drive.foreground++
    try {
      // The call itself is the control: making a signal costs more than reading a small block.
      const found = await store.get(ownedBlockId(request.block), { offset, length }, call)
      const response = { blockBytes: found.sizeBytes, hash: found.hash, firstUnit: found.firstUnit }
      return { response, body: isStream(found.units) ? notingFailure(found.units, drive) : found.units }
    } catch (error) {
      throw drive.noted(error)
    } finally {
      drive.foreground--
    }
  }
  router.handle(getBlock, handler, (request) => {
    requireToken(request, tokens)
    const store = drives.get(request.drive).readable()
    const found = store.getNow?.(request.block, checkedRange(request))
    if (found === undefined) return undefined
    const { sizeBytes: blockBytes, hash, firstUnit, units } = found
    return { response: { blockBytes, hash, firstUnit }, units }
  })
}

/** Whoever may read, reads by a token: before anything is said of the block. */
function requireToken({ block, token }: GetBlockRequest, tokens: TokenCheck): void {
  if (tokens.allows(token, { method: getBlock.number, group: groupOf(block) })) return
  throw new CairnError('NotAllowed', 'no valid token for this block')
}

function checkedRange({ offset, length }: GetBlockRequest): { offset: number; length: number } {
  if (offset + length <= BLOCK_BYTES_MAX) return { offset, length }
  throw new CairnError('InvalidArgument', `no block reaches to ${offset + length} bytes`)
}

function isStream(units: UnitSource): units is UnitStream {
  return Symbol.asyncIterator in units
}

/** The same units; a failure of the drive while they flow is noted on it. */
function notingFailure(units: UnitStream, drive: ServedDrive): UnitStream {
  const poll = units.poll?.bind(units)
  return {
    ...(poll === undefined ? {} : { poll }),
    [Symbol.asyncIterator](): AsyncIterator<Unit> {
      const inner = units[Symbol.asyncIterator]()
      return {
        next: () => {
          drive.foreground++
          return inner.next().then(
            (step) => {
              drive.foreground--
              return step
            },
            (error: unknown) => {
              drive.foreground--
              throw drive.noted(error)
            },
          )
        },
        return: async () => (await inner.return?.()) ?? { done: true, value: undefined },
      }
    },
  }
}
