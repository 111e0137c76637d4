/** Reaches blocks on chunk servers by RPC, through the cluster map: what the background workers do to blocks. */
import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  type BlockSlice,
  CairnError,
  type Clock,
  type ClusterMap,
  copyBlock,
  type DriveId,
  deleteBlocks,
  findBlocks,
  formatId,
  getBlock,
  groupOf,
  type HandshakeIdentity,
  hasCode,
  hashBlock,
  LIST_PAGE_MAX,
  listBlocks,
  listWriters,
  MapPageContent,
  type Network,
  type PlacedBy,
  type RpcMethod,
  type RpcPeer,
  type RpcReply,
  sameBytes,
  type TokenKey,
  TokenMint,
  type UnitStream,
  verifyBlocks,
  withToken,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { DriveStates } from '../core/cluster/drive-states.js'
import { holdersOf } from '../core/cluster/group-holders.js'
import type {
  BlockReclaimer,
  CopyOrder,
  DriveInspector,
  DriveMender,
  ListedBlocks,
  ListScope,
  Reclaimed,
} from '../ports-blocks.js'

/** Blocks of one DeleteBlocks. */
const DELETE_BLOCKS_MAX = 1000

export interface DriveCallerOptions {
  readonly cluster: ClusterState
  readonly network: Network
  readonly identity: HandshakeIdentity
  /** The keys for tokens by which blocks are read; without them no token is sent. */
  tokenKeys?(): Promise<readonly TokenKey[]>
  readonly clock?: Clock
  /** Who answers: given-up drives are looked through too while they do. */
  readonly states?: DriveStates
  /** Longest deadline of a call that destroys; throws when nothing may be destroyed now. */
  destructionMs?(): number
  /** Drives that may hold blocks of a group though it is no longer theirs. */
  formerHolders?(pool: number, group: number): readonly DriveId[]
}

/** All ports of the workers over RPC; `close` ends its connections. */
export interface DriveCaller extends BlockReclaimer, DriveInspector, DriveMender {
  close(): Promise<void>
}

export function createDriveCaller(options: DriveCallerOptions): DriveCaller {
  return new RpcDriveCaller(options)
}

class RpcDriveCaller implements DriveCaller {
  private readonly options: DriveCallerOptions
  private readonly peers = new Map<string, RpcPeer>()
  private readonly mint: TokenMint | undefined

  constructor(options: DriveCallerOptions) {
    this.options = options
    this.mint = options.clock === undefined ? undefined : new TokenMint(options.clock)
  }

  async deleteBlocks(poolId: number, blocks: readonly BlockId[]): Promise<Reclaimed> {
    const map = await this.options.cluster.current()
    const pool = map.pools.find(({ id }) => id === poolId)
    if (pool === undefined) return { freedBytes: 0, unfinished: new Set(blocks.map(formatId)) }
    const byDrive = new Map<DriveId, BlockId[]>()
    for (const block of blocks) {
      const former = this.options.formerHolders?.(poolId, groupOf(block)) ?? []
      for (const drive of new Set([...holdersOf(map, pool, block), ...former])) {
        const list = byDrive.get(drive)
        if (list === undefined) byDrive.set(drive, [block])
        else list.push(block)
      }
    }
    const unfinished = new Set<string>()
    const freed = await Promise.all(
      [...byDrive].map(([drive, ofDrive]) => this.tryDelete(drive, ofDrive, unfinished)),
    )
    return { freedBytes: freed.reduce((sum, bytes) => sum + bytes, 0), unfinished }
  }

  async readPage(poolId: number, page: BlockSlice): Promise<readonly BlockSlice[] | undefined> {
    const map = await this.options.cluster.current()
    const pool = map.pools.find(({ id }) => id === poolId)
    const drives = pool === undefined ? [] : holdersOf(map, pool, page.block)
    let absent = 0
    let failure: unknown
    for (const drive of drives) {
      try {
        return MapPageContent.decode(await this.readBlock(drive, page)).slices
      } catch (error) {
        if (hasCode(error, 'NoSuchBlock')) absent++
        else failure = error
      }
    }
    if (drives.length > 0 && absent === drives.length) return undefined
    throw new CairnError('BlockUnavailable', `no drive gives map page ${formatId(page.block)}`, {
      cause: failure,
    })
  }

  async drives(): Promise<readonly DriveId[]> {
    const map = await this.options.cluster.current()
    const { states } = this.options
    const counts = (state: string, id: DriveId): boolean =>
      (state !== 'out' && state !== 'dead') || states?.answers(id) === true
    return map.drives.filter(({ id, state }) => counts(state, id)).map(({ id }) => id)
  }

  async writers(
    drive: DriveId,
    after: Parameters<DriveInspector['writers']>[1],
  ): ReturnType<DriveInspector['writers']> {
    const request = { drive, limit: LIST_PAGE_MAX, ...(after === undefined ? {} : { after }) }
    const { response } = await this.call(drive, listWriters, request)
    return { items: response.sessions, complete: response.complete }
  }

  async blocks(drive: DriveId, after: BlockId | undefined): ReturnType<DriveInspector['blocks']> {
    const request = {
      drive,
      limit: LIST_PAGE_MAX,
      withOwner: true,
      ...(after === undefined ? {} : { after }),
    }
    const { response } = await this.call(drive, listBlocks, request)
    return { items: response.blocks, complete: response.complete }
  }

  async deleteOnDrive(drive: DriveId, blocks: readonly BlockId[], placedBy?: PlacedBy): Promise<number> {
    let freedBytes = 0
    for (let at = 0; at < blocks.length; at += DELETE_BLOCKS_MAX) {
      const some = blocks.slice(at, at + DELETE_BLOCKS_MAX)
      const leftMs = this.options.destructionMs?.() ?? BLOCK_DEADLINE_MS
      const request = { drive, blocks: some, ...(placedBy === undefined ? {} : { placedBy }) }
      const { response } = await this.call(drive, deleteBlocks, request, leftMs)
      freedBytes += response.freedBytes
    }
    return freedBytes
  }

  async list(drive: DriveId, after: BlockId | undefined, scope: ListScope): Promise<ListedBlocks> {
    const request = { drive, limit: LIST_PAGE_MAX, ...scope, ...(after === undefined ? {} : { after }) }
    const { response } = await this.call(drive, listBlocks, request)
    const last = response.blocks.at(-1)?.block
    const next = response.complete ? undefined : (response.next ?? last)
    // A page is a view of its message: who keeps the place to go on from must not keep all of it.
    return { blocks: response.blocks, next: next === undefined ? next : (Uint8Array.from(next) as BlockId) }
  }

  async find(drive: DriveId, blocks: readonly BlockId[]): ReturnType<DriveMender['find']> {
    return (await this.call(drive, findBlocks, { drive, blocks })).response.blocks
  }

  async copy(order: CopyOrder): Promise<number> {
    const { source, ...rest } = order
    const { members, drives, pools } = await this.options.cluster.current()
    const epoch = pools.find(({ id }) => id === order.pool)?.epoch
    const sourceAddress = addressOf({ members, drives }, source)
    if (epoch === undefined) throw new CairnError('InvalidArgument', `there is no pool ${order.pool}`)
    const request = { ...rest, epoch, sourceDrive: source, sourceAddress }
    return (await this.call(order.drive, copyBlock, request)).response.writtenBytes
  }

  async verify(drive: DriveId, blocks: readonly BlockId[]): ReturnType<DriveMender['verify']> {
    return (await this.call(drive, verifyBlocks, { drive, blocks })).response.damaged
  }

  async close(): Promise<void> {
    await Promise.all([...this.peers.values()].map((peer) => peer.close()))
    this.peers.clear()
  }

  /** Whatever goes wrong, the blocks stay to be freed: a lost answer costs a repeat. */
  private async tryDelete(
    drive: DriveId,
    blocks: readonly BlockId[],
    unfinished: Set<string>,
  ): Promise<number> {
    try {
      return await this.deleteOnDrive(drive, blocks)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      for (const block of blocks) unfinished.add(formatId(block))
      return 0
    }
  }

  private async readBlock(drive: DriveId, { block, blockBytes, hash }: BlockSlice): Promise<Uint8Array> {
    const token = await this.tokenFor(block)
    const request = withToken({ drive, block, offset: 0, length: blockBytes }, token)
    const bytes = await collect((await this.call(drive, getBlock, request)).body)
    if (bytes.length !== blockBytes || !sameBytes(hashBlock(bytes), hash)) {
      throw new CairnError('BlockCorrupt', `drive ${drive} gives other bytes for ${formatId(block)}`)
    }
    return bytes
  }

  private async tokenFor(block: BlockId): Promise<Uint8Array | undefined> {
    const { tokenKeys } = this.options
    if (tokenKeys === undefined || this.mint === undefined) return undefined
    this.mint.learn({ required: true, keys: await tokenKeys() })
    return this.mint.tokenOf({ method: getBlock.number, group: groupOf(block) })
  }

  private async call<Q, R>(
    drive: DriveId,
    method: RpcMethod<Q, R>,
    request: Q,
    limitMs: number = BLOCK_DEADLINE_MS,
  ): Promise<RpcReply<R>> {
    return this.peerOf(drive).call(method, request, { deadlineMs: Math.min(limitMs, BLOCK_DEADLINE_MS) })
  }

  private peerOf(drive: DriveId): RpcPeer {
    const address = addressOf(this.options.cluster.known, drive)
    const known = this.peers.get(address)
    if (known !== undefined) return known
    const peer = this.options.network.connect(address, this.options.identity, 'chunk')
    this.peers.set(address, peer)
    return peer
  }
}

/** Where the server of a drive listens; `NoSuchDrive` if nobody has it. */
function addressOf({ members, drives }: Pick<ClusterMap, 'members' | 'drives'>, drive: DriveId): string {
  const server = drives.find(({ id }) => id === drive)?.server
  const address = members.find(({ id }) => id === server)?.address
  if (address === undefined) throw new CairnError('NoSuchDrive', `no server has drive ${drive}`)
  return address
}

async function collect(body: UnitStream): Promise<Uint8Array> {
  const units: Uint8Array[] = []
  for await (const { bytes } of body) units.push(Buffer.from(bytes))
  return Buffer.concat(units)
}
