import {
  type BlockId,
  createRouter,
  formatId,
  LIST_PAGE_MAX,
  type ReportBlocksRequest,
  reportBlocks,
} from '@cairn/protocol'
import { expect } from 'chai'
import { MetadataCaller } from '../../src/cluster/metadata-caller.js'
import { ReadReports } from '../../src/cluster/read-reports.js'
import { createWorld, type World } from '../world/world.js'

function blockOf(at: number): BlockId {
  const block = Buffer.alloc(16)
  block.writeUInt32BE(at, 0)
  return block as Uint8Array as BlockId
}

describe('reports of readers', () => {
  let world: World
  let reports: ReadReports
  let heard: ReportBlocksRequest[]

  beforeEach(async () => {
    world = await createWorld()
    heard = []
    const router = createRouter()
    router.handle(reportBlocks, async (request) => {
      heard.push(request)
      return { response: {} }
    })
    const { network, clock, random } = world
    await network.listen('local:reports', router, world.identity('reports', 'metadata'))
    const identity = world.identity('reader')
    const metadata = new MetadataCaller({ network, addresses: ['local:reports'], identity, clock, random })
    reports = new ReadReports(metadata, clock)
  })

  it('are sent together, each block once in a while', async () => {
    for (const at of [1, 2, 1]) reports.add(7, blockOf(at))
    await world.clock.advance(1_000)
    reports.add(7, blockOf(1))
    await world.clock.advance(1_000)
    expect(heard.map(({ pool, blocks }) => [pool, blocks.map(formatId)])).to.deep.equal([
      [7, [formatId(blockOf(1)), formatId(blockOf(2))]],
    ])
    await world.clock.advance(30_000)
    reports.add(7, blockOf(1))
    await world.clock.advance(1_000)
    expect(heard).to.have.length(2)
  })

  it('never hold more than one call takes', async () => {
    for (let at = 0; at < LIST_PAGE_MAX + 50; at++) reports.add(1, blockOf(at))
    await world.clock.advance(1_000)
    expect(heard.map(({ blocks }) => blocks.length)).to.deep.equal([LIST_PAGE_MAX])
  })
})
