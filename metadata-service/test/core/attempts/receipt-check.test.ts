import { createHmac } from 'node:crypto'
import {
  type BlockId,
  BlockOwner,
  CairnError,
  GROUPS_PER_POOL,
  groupOf,
  type OpId,
  type Pool,
  type SessionId,
  type SpaceId,
  sessionScopedId,
  type TokenKey,
  type WriteContext,
} from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { ReceiptCheck, requireOwnOp } from '../../../src/core/attempts/receipt-check.js'
import type { ClusterState } from '../../../src/core/cluster/cluster-state.js'

const random = createSeededRandom(31)
const DRIVES = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(16))
const [A, B, C, D, E] = DRIVES as [string, string, string, string, string]
const EPOCH = 9

/** A block as its writer describes it. */
interface Described {
  readonly pool: number
  readonly block: BlockId
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly owner: BlockOwner
}

/** A receipt from its description, without the code under test. */
function receiptBy(key: TokenKey, of: Described, drive: string, epoch = EPOCH): Uint8Array {
  const hex = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, '0')
  const head = Buffer.from(`01${hex(key.id, 4)}${hex(epoch, 6)}`, 'hex')
  const numbers = `${hex(of.pool, 4)}${hex(of.sizeBytes, 4)}00100020${hex(drive.length, 4)}`
  const mac = createHmac('sha256', key.secret)
    .update(Buffer.concat([Buffer.from('cairn-block-receipt\0'), head, Buffer.from(numbers, 'hex')]))
    .update(Buffer.concat([of.block, of.hash, Buffer.from(drive), BlockOwner.encode(of.owner)]))
    .digest()
  return Buffer.concat([head, mac, Buffer.from(drive)])
}

/** A table with the same drives, by index, for every group; none for `undefined`. */
function table(...indexes: readonly (number | undefined)[]): Buffer {
  const groups = Buffer.alloc(GROUPS_PER_POOL * indexes.length * 2)
  for (let slot = 0; slot < GROUPS_PER_POOL * indexes.length; slot++) {
    groups.writeUInt16LE(indexes[slot % indexes.length] ?? 0xffff, slot * 2)
  }
  return groups
}

describe('ReceiptCheck', () => {
  const session = random.bytes(8) as SessionId
  const op = sessionScopedId<OpId>(session, 1)
  const owner: BlockOwner = { space: random.bytes(8) as SpaceId, bucket: 'b', key: 'k', map: op }
  let pool: Pool
  let keys: TokenKey[]
  let counter = 1

  beforeEach(() => {
    const rest = { failureDomain: 'drive' as const, drives: DRIVES, groups: table(0, 1, 2) }
    pool = { id: 1, name: 'default', epoch: EPOCH, replicas: 3, ...rest }
    keys = [1, 2].map((id) => ({ id, secret: random.bytes(32), fromMs: id }))
  })

  const key = (at = 1): TokenKey => keys[at] as TokenKey
  const described = (changes: Partial<Described> = {}): Described => {
    const block = sessionScopedId<BlockId>(session, ++counter)
    return { pool: 1, block, sizeBytes: 500, hash: random.bytes(32), owner, ...changes }
  }

  function check(): ReceiptCheck {
    const cluster = {
      known: { pools: [pool] } as unknown as ClusterState['known'],
      poolCompare: async (_id: number, epoch: number) => {
        if (epoch !== pool.epoch) throw new CairnError('StaleClusterMap', 'another epoch')
        return { kind: 'absent' as const, key: Buffer.from('') }
      },
    }
    return new ReceiptCheck({ cluster, keys: async () => keys })
  }

  /** What comes of a commit that names this block and shows these receipts. */
  async function outcome(
    of: Described,
    receipts: readonly Uint8Array[],
    changes: Partial<WriteContext> = {},
  ): Promise<string> {
    const shown = { blocks: [{ block: of.block, receipts }] }
    const context = { session, op, poolEpoch: EPOCH, dirtyGroups: [], receipts: shown, ...changes }
    try {
      const require = await check().judge(context, { pool: 1, owner })
      require({ block: of.block, blockBytes: of.sizeBytes, hash: of.hash })
      return 'stored'
    } catch (error) {
      if (error instanceof CairnError) return error.code
      throw error
    }
  }

  it('believes receipts of a quorum, by any of the keys', async () => {
    const block = described()
    const of = (...drives: string[]): Uint8Array[] => drives.map((drive) => receiptBy(key(), block, drive))
    expect(await outcome(block, of(A, B, C))).to.equal('stored')
    expect(await outcome(block, of(C, A))).to.equal('stored')
    expect(await outcome(block, [receiptBy(key(0), block, A), receiptBy(key(1), block, B)])).to.equal(
      'stored',
    )
  })

  it('refuses too few, however often one drive has said so', async () => {
    const block = described()
    const one = receiptBy(key(), block, A)
    expect(await outcome(block, [])).to.equal('ReceiptMissing')
    expect(await outcome(block, [one, one, receiptBy(key(0), block, A, 3)])).to.equal('ReceiptMissing')
    expect(await outcome(block, [], { receipts: { blocks: [] } })).to.equal('ReceiptMissing')
    const { block: id } = block
    const silent = { session, op, poolEpoch: EPOCH, dirtyGroups: [] }
    const require = await check().judge(silent, { pool: 1, owner })
    expect(() => require({ block: id, blockBytes: 500, hash: block.hash })).to.throw(
      /0 drives .* 2 are needed/,
    )
  })

  it('refuses receipts of another block, length, hash, pool or owner', async () => {
    const block = described()
    const others: Partial<Described>[] = [
      { block: sessionScopedId<BlockId>(session, 999) },
      { sizeBytes: 501 },
      { hash: random.bytes(32) },
      { pool: 2 },
      { owner: { ...owner, key: 'another' } },
      { owner: { ...owner, map: sessionScopedId<OpId>(session, 7) } },
    ]
    for (const other of others) {
      const shown = [A, B, C].map((drive) => receiptBy(key(), { ...block, ...other }, drive))
      expect(await outcome(block, shown), Object.keys(other).join()).to.equal('ReceiptMissing')
    }
  })

  it('refuses receipts that a program has made by itself', async () => {
    const block = described()
    const secret = random.bytes(32)
    const forged = [A, B, C].map((drive) => receiptBy({ ...key(), secret }, block, drive))
    expect(await outcome(block, forged)).to.equal('ReceiptMissing')
    expect(await outcome(block, [random.bytes(59), Buffer.alloc(0), Buffer.alloc(59, 1)])).to.equal(
      'ReceiptMissing',
    )
  })

  it('refuses receipts by a key that is kept no longer', async () => {
    const block = described()
    const shown = [A, B].map((drive) => receiptBy(key(0), block, drive))
    expect(await outcome(block, shown)).to.equal('stored')
    keys = [key(1)]
    expect(await outcome(block, shown)).to.equal('ReceiptMissing')
  })

  it('counts no drive outside the group, and none of a later epoch than the commit', async () => {
    const block = described()
    expect(
      await outcome(
        block,
        [A, D, E].map((drive) => receiptBy(key(), block, drive)),
      ),
    ).to.equal('ReceiptMissing')
    const later = [A, B].map((drive) => receiptBy(key(), block, drive, EPOCH + 1))
    expect(await outcome(block, later)).to.equal('ReceiptMissing')
    const earlier = [A, B].map((drive) => receiptBy(key(), block, drive, 2))
    expect(await outcome(block, earlier)).to.equal('stored')
  })

  it('wants a quorum of the members as they are and as they will be', async () => {
    pool = { ...pool, next: table(3, 4, undefined) }
    const block = described()
    const by = (...drives: string[]): Promise<string> =>
      outcome(
        block,
        drives.map((drive) => receiptBy(key(), block, drive)),
      )
    expect(groupOf(block.block)).to.be.below(GROUPS_PER_POOL)
    expect(await by(A, B)).to.equal('ReceiptMissing')
    expect(await by(D, E)).to.equal('ReceiptMissing')
    expect(await by(A, B, D)).to.equal('ReceiptMissing')
    expect(await by(A, C, D)).to.equal('stored')
    expect(await by(A, B, D, E)).to.equal('stored')
  })

  it('refuses what can be no block', async () => {
    const junk = [{ hash: random.bytes(31) }, { sizeBytes: 2 ** 40 }, { block: random.bytes(9) as BlockId }]
    for (const each of junk) expect(await outcome(described(each), [])).to.equal('InvalidArgument')
  })

  it('refuses a commit that was placed by another epoch', async () => {
    const block = described()
    const shown = [A, B].map((drive) => receiptBy(key(), block, drive))
    expect(await outcome(block, shown, { poolEpoch: EPOCH - 1 })).to.equal('StaleClusterMap')
  })

  it('refuses blocks and operations of another session', async () => {
    const other = described({ block: sessionScopedId<BlockId>(random.bytes(8) as SessionId, 1) })
    const shown = [A, B].map((drive) => receiptBy(key(), other, drive))
    expect(await outcome(other, shown)).to.equal('NotAllowed')
    const own = { session, op, poolEpoch: EPOCH, dirtyGroups: [] }
    requireOwnOp(own)
    const foreign = { ...own, op: sessionScopedId<OpId>(random.bytes(8) as SessionId, 1) }
    expect(() => requireOwnOp(foreign)).to.throw(CairnError, /is not of session/)
  })
})
