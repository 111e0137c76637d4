/** What every `BlockStore` promises (see ports.ts). Run by each adapter's own test. */
import {
  type BlockId,
  CairnError,
  formatId,
  GROUPS_PER_POOL,
  groupOf,
  hasCode,
  hashBlock,
  type SessionId,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import type { BlockStore } from '../../src/ports.js'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from './blocks.js'

/** A store under test, on storage of its own. */
export interface BlockStoreFixture {
  readonly store: BlockStore
  /** Closes the store and opens it again on the same storage. */
  reopen(): Promise<BlockStore>
  dispose(): Promise<void>
}

const random = createSeededRandom(20_261_121)
const never = new AbortController().signal
const SIZES = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1024 * 1024 + 7, 8 * 1024 * 1024]

async function* failing(units: Unit[], error: unknown): AsyncGenerator<Unit> {
  yield* units
  throw error
}

export function describeBlockStore(name: string, open: () => Promise<BlockStoreFixture>): void {
  describe(`${name} as a BlockStore`, () => {
    let fixture: BlockStoreFixture
    let store: BlockStore

    const put = (block: BlockId, body: Uint8Array, signal = never) =>
      store.put(block, ownerOf('key'), unitsOf(block, body), { signal })
    const absent = async (block: BlockId) =>
      expect(await codeOf(store.get(block, { offset: 0, length: 0 }, { signal: never }))).to.equal(
        'NoSuchBlock',
      )

    beforeEach(async () => {
      fixture = await open()
      store = fixture.store
    })
    afterEach(() => fixture.dispose())

    for (const size of SIZES) {
      it(`gives ${size} bytes back as they were, also after a reopening`, async () => {
        const block = blockId(1, size)
        const body = random.bytes(size)
        const stored = await put(block, body)
        expect(stored.sizeBytes).to.equal(size)
        expect(Buffer.from(stored.hash)).to.deep.equal(Buffer.from(hashBlock(body)))
        expect((await readRange(store, block, { offset: 0, length: size })).equals(body)).to.equal(true)
        store = await fixture.reopen()
        const found = await store.get(block, { offset: 0, length: 0 }, { signal: never })
        expect(found.sizeBytes).to.equal(size)
        expect(Buffer.from(found.hash)).to.deep.equal(Buffer.from(hashBlock(body)))
        expect((await readRange(store, block, { offset: 0, length: size })).equals(body)).to.equal(true)
      })
    }

    it('answers any range with the units that cover it and no others', async () => {
      const block = blockId(1, 1)
      const body = random.bytes(3 * UNIT_BYTES + 7)
      await put(block, body)
      const edges = [0, 1, UNIT_BYTES - 1, UNIT_BYTES, UNIT_BYTES + 1, 2 * UNIT_BYTES, body.length]
      const ranges = edges.flatMap((from) => edges.filter((to) => to > from).map((to) => ({ from, to })))
      for (const { from, to } of ranges) {
        const range = { offset: from, length: to - from }
        const found = await store.get(block, range, { signal: never })
        let count = 0
        for await (const _ of found.units) count++
        expect(found.firstUnit).to.equal(Math.floor(from / UNIT_BYTES))
        expect(count).to.equal(Math.ceil(to / UNIT_BYTES) - found.firstUnit)
        expect((await readRange(store, block, range)).equals(body.subarray(from, to))).to.equal(true)
      }
    })

    it('refuses a range beyond the end', async () => {
      const block = blockId(1, 2)
      await put(block, random.bytes(100))
      const range = { offset: 50, length: 51 }
      expect(await codeOf(store.get(block, range, { signal: never }))).to.equal('InvalidArgument')
    })

    it('knows no block that was never stored', () => absent(blockId(9, 9)))

    it('takes the same content again as done', async () => {
      const block = blockId(1, 3)
      const body = random.bytes(70_000)
      const first = await put(block, body)
      const again = await put(block, body)
      expect(again).to.deep.equal(first)
      expect(store.usage().blockCount).to.equal(1)
    })

    it('refuses other content under a stored id and keeps the first', async () => {
      const block = blockId(1, 4)
      const body = random.bytes(5000)
      await put(block, body)
      expect(await codeOf(put(block, random.bytes(5000)))).to.equal('BlockConflict')
      expect(await codeOf(put(block, body.subarray(0, 4999)))).to.equal('BlockConflict')
      expect((await readRange(store, block, { offset: 0, length: 5000 })).equals(body)).to.equal(true)
    })

    it('lets one of two different contents win when both come at once', async () => {
      const block = blockId(1, 5)
      const bodies = [random.bytes(3000), random.bytes(3000)] as const
      const results = await Promise.allSettled(bodies.map((body) => put(block, body)))
      const winner = results.findIndex((result) => result.status === 'fulfilled')
      const loser = results[1 - winner]
      expect(loser?.status === 'rejected' && hasCode(loser.reason, 'BlockConflict')).to.equal(true)
      const read = await readRange(store, block, { offset: 0, length: 3000 })
      expect(read.equals(bodies[winner] ?? Buffer.alloc(0))).to.equal(true)
    })

    it('lets one of two contents win that wait for a put which fails', async () => {
      const block = blockId(1, 7)
      const [good, other] = [random.bytes(5000), random.bytes(5000)] as const
      const broken = unitsOf(block, good).map((unit) => ({ ...unit, check: unit.check ^ 1 }))
      async function* late(): AsyncGenerator<Unit> {
        await new Promise<void>((resolve) => setImmediate(resolve))
        yield* broken
      }
      const failing = store.put(block, ownerOf('k'), late(), { signal: never })
      const waiting = [good, other].map((body) => put(block, body))
      expect(await codeOf(failing)).to.equal('BlockCorrupt')
      const results = await Promise.allSettled(waiting)
      const refused = results.filter((result) => result.status === 'rejected')
      expect(refused.map(({ reason }) => hasCode(reason, 'BlockConflict'))).to.deep.equal([true])
      const winner = results[0]?.status === 'fulfilled' ? good : other
      const read = await readRange(store, block, { offset: 0, length: 5000 })
      expect(read.equals(winner)).to.equal(true)
    })

    it('takes the same content twice at once', async () => {
      const block = blockId(1, 6)
      const body = random.bytes(300_000)
      await Promise.all([put(block, body), put(block, body)])
      expect(store.usage().blockCount).to.equal(1)
      expect((await readRange(store, block, { offset: 0, length: body.length })).equals(body)).to.equal(true)
    })

    for (const damaged of [0, 3]) {
      it(`refuses a block whose unit ${damaged} does not match its check, and keeps nothing`, async () => {
        const block = blockId(2, damaged)
        const units = unitsOf(block, random.bytes(4 * UNIT_BYTES))
        const rotten = units.map((unit, at) =>
          at === damaged ? { ...unit, check: (unit.check ^ 1) >>> 0 } : unit,
        )
        expect(await codeOf(store.put(block, ownerOf('k'), rotten, { signal: never }))).to.equal(
          'BlockCorrupt',
        )
        await absent(block)
        expect(store.usage().blockCount).to.equal(0)
      })
    }

    it("refuses units in another order, and another block's units", async () => {
      const block = blockId(2, 10)
      const units = unitsOf(block, random.bytes(2 * UNIT_BYTES))
      const swapped = [...units].reverse()
      expect(await codeOf(store.put(block, ownerOf('k'), swapped, { signal: never }))).to.equal(
        'BlockCorrupt',
      )
      const other = unitsOf(blockId(2, 11), random.bytes(100))
      expect(await codeOf(store.put(block, ownerOf('k'), other, { signal: never }))).to.equal('BlockCorrupt')
      await absent(block)
    })

    it('refuses units that are cut wrongly, and a block that is too large', async () => {
      const block = blockId(2, 20)
      const cut = (...sizes: number[]): Unit[] =>
        sizes.map((size, index) => {
          const bytes = random.bytes(size)
          return { bytes, check: unitCheck(block, index, bytes) }
        })
      for (const sizes of [[100, 100], [UNIT_BYTES + 1], Array<number>(129).fill(UNIT_BYTES)]) {
        const code = await codeOf(store.put(block, ownerOf('k'), cut(...sizes), { signal: never }))
        expect(code).to.equal('InvalidArgument')
        await absent(block)
      }
    })

    it('leaves nothing of a put that was aborted', async () => {
      const stop = new AbortController()
      const block = blockId(3, 1)
      const body = random.bytes(6 * UNIT_BYTES)
      async function* source(): AsyncGenerator<Unit> {
        for (const [at, unit] of unitsOf(block, body).entries()) {
          if (at === 4) stop.abort()
          yield unit
        }
      }
      const stored = store.put(block, ownerOf('k'), source(), { signal: stop.signal })
      expect(await codeOf(stored)).to.equal('Cancelled')
      await absent(block)
      store = await fixture.reopen()
      await absent(block)
      await put(block, body)
      expect((await readRange(store, block, { offset: 0, length: body.length })).equals(body)).to.equal(true)
    })

    it('passes the error of a source that breaks off, and leaves nothing', async () => {
      for (const unitCount of [0, 1, 8]) {
        const block = blockId(3, 10 + unitCount)
        const units = unitsOf(block, random.bytes(unitCount * UNIT_BYTES))
        const source = failing(units, new CairnError('ConnectionLost', 'gone'))
        expect(await codeOf(store.put(block, ownerOf('k'), source, { signal: never }))).to.equal(
          'ConnectionLost',
        )
        await absent(block)
      }
    })

    it('does not keep hold of the bytes it was handed', async () => {
      const block = blockId(3, 50)
      const body = Buffer.from(random.bytes(100_000))
      const expected = Buffer.from(body)
      await put(block, body)
      body.fill(0xa5)
      expect(
        (await readRange(store, block, { offset: 0, length: expected.length })).equals(expected),
      ).to.equal(true)
    })

    it('deletes what is there, skips what is not, and does so again', async () => {
      const [kept, gone, never1] = [blockId(4, 1), blockId(4, 2), blockId(4, 3)]
      await put(kept, random.bytes(1000))
      await put(gone, random.bytes(2000))
      const first = await store.delete([gone, never1])
      expect(first.deleted).to.equal(1)
      expect(first.freedBytes).to.be.at.least(2000)
      expect(await store.delete([gone])).to.deep.equal({ deleted: 0, freedBytes: 0 })
      await absent(gone)
      store = await fixture.reopen()
      await absent(gone)
      const { blocks } = await store.list(undefined, 10, false)
      expect(blocks.map((entry) => formatId(entry.block))).to.deep.equal([formatId(kept)])
    })

    it('lists live blocks page by page in id order, with owner when asked', async () => {
      const ids = [5, 1, 4, 2, 3].map((counter) => blockId(counter % 2, counter))
      for (const id of ids) {
        await store.put(id, ownerOf(formatId(id)), unitsOf(id, random.bytes(10)), { signal: never })
      }
      const sorted = ids.map((id) => formatId(id)).sort()
      const seen: string[] = []
      let after: BlockId | undefined
      for (let complete = false; !complete; ) {
        const page = await store.list(after, 2, true)
        expect(page.blocks.length).to.be.at.most(2)
        for (const entry of page.blocks) {
          expect(entry.owner).to.deep.equal(ownerOf(formatId(entry.block)))
          expect(entry.sizeBytes).to.equal(10)
          seen.push(formatId(entry.block))
        }
        after = page.blocks.at(-1)?.block ?? after
        complete = page.complete
      }
      expect(seen).to.deep.equal(sorted)
      const bare = await store.list(undefined, 10, false)
      expect(bare.complete).to.equal(true)
      expect(bare.blocks.every((entry) => entry.owner === undefined)).to.equal(true)
    })

    it('finds single blocks in the order asked, with their owners', async () => {
      const [first, second, absentOne] = [blockId(9, 1), blockId(9, 2), blockId(9, 3)]
      for (const id of [first, second]) {
        await store.put(id, ownerOf(formatId(id)), unitsOf(id, random.bytes(10)), { signal: never })
      }
      const found = await store.find([second, absentOne, first])
      expect(found.map((entry) => formatId(entry.block))).to.deep.equal([second, first].map(formatId))
      expect(found.map((entry) => entry.owner)).to.deep.equal(
        [second, first].map((id) => ownerOf(formatId(id))),
      )
      expect(await store.find([])).to.deep.equal([])
    })

    it('lists only the groups asked for, on pages that lead to the end', async () => {
      const ids = Array.from({ length: 40 }, (_, counter) => blockId(9, counter))
      for (const id of ids) await put(id, random.bytes(10))
      const wanted = new Set(ids.slice(0, 7).map(groupOf))
      const groups = new Uint8Array(GROUPS_PER_POOL / 8)
      for (const group of wanted) groups[group >> 3] = (groups[group >> 3] ?? 0) | (1 << (group & 7))
      const seen: string[] = []
      let after: BlockId | undefined
      for (let complete = false; !complete; ) {
        const page = await store.list(after, 3, false, { groups })
        expect(page.blocks.length).to.be.at.most(3)
        seen.push(...page.blocks.map((entry) => formatId(entry.block)))
        after = page.next ?? page.blocks.at(-1)?.block ?? after
        complete = page.complete
      }
      expect(seen).to.deep.equal(ids.filter((id) => wanted.has(groupOf(id))).map(formatId))
    })

    it('verifies what it holds, counts what it read, and finds no damage where there is none', async () => {
      const [small, large] = [blockId(9, 1), blockId(9, 2)]
      await put(small, random.bytes(1000))
      await put(large, random.bytes(1024 * 1024 + 7))
      const found = await store.verify([small, blockId(9, 3), large], { signal: never })
      expect(found).to.deep.equal({ damaged: [], readBytes: 1000 + 1024 * 1024 + 7 })
      const { blocks, complete } = await store.list(undefined, 10, false, { damagedOnly: true })
      expect({ blocks, complete }).to.deep.equal({ blocks: [], complete: true })
      expect(store.usage().damagedBlocks).to.equal(0)
      expect(await codeOf(store.verify([small], { signal: AbortSignal.abort() }))).to.equal('Cancelled')
    })

    it('names the sessions that have live blocks, each once and in order', async () => {
      for (const [session, counter] of [
        [3, 1],
        [1, 1],
        [1, 2],
        [2, 1],
      ] as const) {
        await put(blockId(session, counter), random.bytes(10))
      }
      await store.delete([blockId(2, 1)])
      const names = (sessions: SessionId[]) => sessions.map((session) => formatId(session))
      const first = await store.writers(undefined, 1)
      expect(names(first.sessions)).to.deep.equal(['0000000100000000'])
      expect(first.complete).to.equal(false)
      const rest = await store.writers(first.sessions[0], 10)
      expect(names(rest.sessions)).to.deep.equal(['0000000300000000'])
      expect(rest.complete).to.equal(true)
    })

    it('keeps many concurrent puts apart', async () => {
      const bodies = Array.from({ length: 200 }, (_, at) => random.bytes((at * 977) % 9000))
      await Promise.all(bodies.map((body, at) => put(blockId(6, at), body)))
      store = await fixture.reopen()
      for (const [at, body] of bodies.entries()) {
        const read = await readRange(store, blockId(6, at), { offset: 0, length: body.length })
        expect(read.equals(body)).to.equal(true)
      }
      expect(store.usage().blockCount).to.equal(200)
    })

    it('counts blocks and their bytes', async () => {
      expect(store.usage()).to.include({ blockCount: 0 })
      await put(blockId(7, 1), random.bytes(100_000))
      expect(store.usage().blockCount).to.equal(1)
      expect(store.usage().liveBytes).to.be.at.least(100_000)
      await store.delete([blockId(7, 1)])
      expect(store.usage().blockCount).to.equal(0)
    })

    it('refuses all work once it is closed', async () => {
      await put(blockId(8, 1), random.bytes(10))
      await store.close()
      const refused = [put(blockId(8, 2), random.bytes(10)), store.delete([blockId(8, 1)])]
      const codes = await Promise.all(refused.map(codeOf))
      expect(codes).to.deep.equal(['ShuttingDown', 'ShuttingDown'])
    })
  })
}
