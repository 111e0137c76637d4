/**
 * The block map: the ordered list of slices that makes up one version. A slice may be a part of a block, so
 * that part copy and append move no bytes. A map above INLINE_MAP_BYTES_MAX is stored as pages: blocks that
 * each hold up to MAP_PAGE_SLICES encoded slices, written by the client before the commit.
 */
import type { BlockId, OpId, SpaceId } from './ids.js'
import { boolean, bytes, integer, list, type Message, message, optional, required, text } from './message.js'
import { repeated } from './repeated-message.js'

/** `length` bytes of a block from `offset` on. `hash` is the BLAKE3-256 of the *whole* block of `blockBytes`. */
export interface BlockSlice {
  readonly block: BlockId
  readonly offset: number
  readonly length: number
  readonly blockBytes: number
  readonly hash: Uint8Array
}

export const BlockSlice: Message<BlockSlice> = message<BlockSlice>('BlockSlice', 1, {
  block: required(1, bytes<BlockId>()),
  offset: required(2, integer),
  length: required(3, integer),
  blockBytes: required(4, integer),
  hash: required(5, bytes()),
})

/** A page of slices: the block that holds it, and how many bytes of the version its slices cover. */
export interface MapPage {
  readonly slice: BlockSlice
  readonly coveredBytes: number
  readonly sliceCount: number
}

export const MapPage: Message<MapPage> = message<MapPage>('MapPage', 1, {
  slice: required(1, BlockSlice),
  coveredBytes: required(2, integer),
  sliceCount: required(3, integer),
})

/** What a page block holds. */
export interface MapPageContent {
  readonly slices: readonly BlockSlice[]
}

export const MapPageContent: Message<MapPageContent> = message<MapPageContent>('MapPageContent', 1, {
  slices: list(1, BlockSlice),
})

/** Either `slices` or `pages` is empty. Both are empty for an empty object. */
export interface BlockMap {
  readonly pool: number
  readonly slices: readonly BlockSlice[]
  readonly pages: readonly MapPage[]
}

export const BlockMap: Message<BlockMap> = message<BlockMap>('BlockMap', 1, {
  pool: required(1, integer),
  slices: list(2, BlockSlice),
  pages: list(3, MapPage),
})

/** Whom a block was written for; stands in every block header. `map` is the op id of the write, or the upload id. */
export interface BlockOwner {
  readonly space: SpaceId
  readonly bucket: string
  readonly key: string
  readonly map: OpId
}

export const BlockOwner: Message<BlockOwner> = repeated(
  message<BlockOwner>('BlockOwner', 1, {
    space: required(1, bytes<SpaceId>()),
    bucket: required(2, text),
    key: required(3, text),
    map: required(4, bytes<OpId>()),
  }),
)

/** A block with its owner and size, as a drive reports it. */
export interface BlockEntry {
  readonly block: BlockId
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly storedAtMs: number
  readonly owner?: BlockOwner
  /** Its bytes were found wrong on this drive. */
  readonly damaged?: boolean
}

export const BlockEntry: Message<BlockEntry> = message<BlockEntry>('BlockEntry', 1, {
  block: required(1, bytes<BlockId>()),
  sizeBytes: required(2, integer),
  hash: required(3, bytes()),
  storedAtMs: required(4, integer),
  owner: optional(5, BlockOwner),
  damaged: optional(6, boolean),
})
