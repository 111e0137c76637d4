/** Reaches blocks on chunk servers by RPC, through the cluster map: what the background workers do to blocks. */
import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  type BlockSlice,
  CairnError,
  type ClusterMap,
  type DriveId,
  deleteBlocks,
  drivesOfGroup,
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
  type Pool,
  type RpcMethod,
  type RpcPeer,
  type RpcReply,
  sameBytes,
  type UnitStream,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster-state.js'
import type { BlockReclaimer, DriveInspector, Reclaimed } from '../ports-blocks.js'

/** Blocks of one DeleteBlocks. */
const DELETE_BLOCKS_MAX = 1000

export interface DriveCallerOptions {
  readonly cluster: ClusterState
  readonly network: Network
  readonly identity: HandshakeIdentity
}

/** Both ports of the workers over RPC; `close` ends its connections. */
export interface DriveCaller extends BlockReclaimer, DriveInspector {
  close(): Promise<void>
}

export function createDriveCaller(options: DriveCallerOptions): DriveCaller {
  return new RpcDriveCaller(options)
}

class RpcDriveCaller implements DriveCaller {
  private readonly options: DriveCallerOptions
  private readonly peers = new Map<string, RpcPeer>()

  constructor(options: DriveCallerOptions) {
    this.options = options
  }

  async deleteBlocks(poolId: number, blocks: readonly BlockId[]): Promise<Reclaimed> {
    const map = await this.options.cluster.current()
    const pool = map.pools.find(({ id }) => id === poolId)
    if (pool === undefined) return { freedBytes: 0, unfinished: new Set(blocks.map(formatId)) }
    const byDrive = new Map<DriveId, BlockId[]>()
    for (const block of blocks) {
      for (const drive of holdersOf(map, pool, block)) {
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
    return map.drives.filter(({ state }) => state !== 'out' && state !== 'dead').map(({ id }) => id)
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

  async deleteOnDrive(drive: DriveId, blocks: readonly BlockId[]): Promise<number> {
    let freedBytes = 0
    for (let at = 0; at < blocks.length; at += DELETE_BLOCKS_MAX) {
      const some = blocks.slice(at, at + DELETE_BLOCKS_MAX)
      const { response } = await this.call(drive, deleteBlocks, { drive, blocks: some })
      freedBytes += response.freedBytes
    }
    return freedBytes
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
    const request = { drive, block, offset: 0, length: blockBytes }
    const bytes = await collect((await this.call(drive, getBlock, request)).body)
    if (bytes.length !== blockBytes || !sameBytes(hashBlock(bytes), hash)) {
      throw new CairnError('BlockCorrupt', `drive ${drive} gives other bytes for ${formatId(block)}`)
    }
    return bytes
  }

  private async call<Q, R>(drive: DriveId, method: RpcMethod<Q, R>, request: Q): Promise<RpcReply<R>> {
    return this.peerOf(drive).call(method, request, { deadlineMs: BLOCK_DEADLINE_MS })
  }

  private peerOf(drive: DriveId): RpcPeer {
    const { members, drives } = this.options.cluster.known
    const server = drives.find(({ id }) => id === drive)?.server
    const address = members.find(({ id }) => id === server)?.address
    if (address === undefined) throw new CairnError('NoSuchDrive', `no server has drive ${drive}`)
    const known = this.peers.get(address)
    if (known !== undefined) return known
    const peer = this.options.network.connect(address, this.options.identity)
    this.peers.set(address, peer)
    return peer
  }
}

/** The drives of a block's group that still count: one that is out holds nothing that matters. */
function holdersOf(map: ClusterMap, pool: Pool, block: BlockId): DriveId[] {
  const isOut = (id: DriveId): boolean => map.drives.find((drive) => drive.id === id)?.state === 'out'
  return drivesOfGroup(pool, groupOf(block)).filter((id) => id !== undefined && !isOut(id)) as DriveId[]
}

async function collect(body: UnitStream): Promise<Uint8Array> {
  const units: Uint8Array[] = []
  for await (const { bytes } of body) units.push(Buffer.from(bytes))
  return Buffer.concat(units)
}
