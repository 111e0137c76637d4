import { BLOCK_BYTES_MAX, CairnError, formatId, UNIT_BYTES, type WriteContext } from '@cairn/protocol'
import { expect } from 'chai'
import { codeOf, createWorld, patternBytes, type World, type WorldOptions } from './world/world.js'

/** The receipts of each block, as the fake drives write them, without the block's id. */
function shownIn(context: WriteContext | undefined): string[][] {
  return (context?.receipts?.blocks ?? []).map(({ block, receipts }) => {
    const texts = receipts.map((receipt) => Buffer.from(receipt).toString())
    for (const text of texts) expect(text.endsWith(` ${formatId(block)}`)).to.equal(true)
    return texts.map((text) => text.split(' ').slice(0, 2).join(' ')).sort()
  })
}

async function worldOf(options: WorldOptions = {}): Promise<World> {
  const world = await createWorld(options)
  for (const server of world.servers) server.givesReceipts = true
  return world
}

describe('receipts', () => {
  for (const [sizeBytes, blocks] of [
    [100, 1],
    [UNIT_BYTES * 3, 1],
    [BLOCK_BYTES_MAX + 5, 2],
  ] as const) {
    it(`of all drives are shown for each block of ${sizeBytes} bytes`, async () => {
      const world = await worldOf()
      await world.run(world.client.putObject('b', 'k', patternBytes(sizeBytes)))
      const ofBlock = ['d0 1', 'd1 1', 'd2 1']
      expect(shownIn(world.metadata.contexts.at(-1))).to.deep.equal(Array(blocks).fill(ofBlock))
    })
  }

  it('are not spoken of when the drives give none', async () => {
    const world = await createWorld()
    await world.run(world.client.putObject('b', 'k', patternBytes(100)))
    expect(world.metadata.contexts.at(-1)).to.not.have.property('receipts')
  })

  it('of the copies that a change of the group wants come beside the first ones', async () => {
    const world = await worldOf({ servers: 4, replicas: 3 })
    world.metadata.beforeCommit = () => {
      world.metadata.beforeCommit = undefined
      world.place([1, 2, 3])
    }
    await world.run(world.client.putObject('b', 'k', patternBytes(100)))
    expect(world.metadata.contexts.map(shownIn)).to.deep.equal([
      [['d0 1', 'd1 1', 'd2 1']],
      [['d0 1', 'd1 1', 'd2 1', 'd3 2']],
    ])
  })

  it('are asked for once more, by sending the block again, when they do not do', async () => {
    const world = await worldOf()
    let commits = 0
    let refusals = 1
    world.metadata.beforeCommit = () => {
      commits++
      for (const server of world.servers) server.givesReceipts = true
      if (refusals-- > 0) throw new CairnError('ReceiptMissing', 'as the test wants it')
    }
    for (const server of world.servers.slice(1)) server.givesReceipts = false
    await world.run(world.client.putObject('b', 'k', patternBytes(200_000)))
    expect(commits).to.equal(2)
    expect(world.metadata.contexts.map(shownIn)).to.deep.equal([[['d0 1', 'd1 1', 'd2 1']]])
    expect(world.servers.map(({ puts }) => puts)).to.deep.equal([2, 2, 2])
    refusals = Number.POSITIVE_INFINITY
    const late = world.run(world.client.putObject('b', 'k', patternBytes(100)))
    expect(await codeOf(late)).to.equal('ReceiptMissing')
    expect(commits).to.equal(4)
  })
})
