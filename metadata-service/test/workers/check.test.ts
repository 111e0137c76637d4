import { type CheckReport, formatId } from '@cairn/protocol'
import { expect } from 'chai'
import { CheckRunner } from '../../src/workers/check-runner.js'
import { idOf, RepairWorld } from '../repair-world.js'

const CLEAN = { state: 'done', underReplicated: 0, corrupt: 0, orphaned: 0, dangling: 0 }

describe('the check', () => {
  let world: RepairWorld
  let runner: CheckRunner
  let isPast = false
  beforeEach(async () => {
    world = await RepairWorld.open()
    isPast = false
    const { store, clock, random, cluster, states, mender } = world
    runner = new CheckRunner({
      store,
      clock,
      random,
      cluster,
      states,
      drives: mender,
      reclaimer: { readPage: async () => undefined },
      orphans: { isPastGrace: () => isPast },
    })
  })

  async function check(deep = false): Promise<CheckReport> {
    const name = runner.start(deep)
    while (runner.get(name, false).state === 'running') await world.clock.advance(10)
    return runner.get(name, false)
  }

  it('finds nothing wrong with what is whole', async () => {
    for (let at = 0; at < 10; at++) await world.run(world.put(`k${at}`))
    const report = await check(true)
    expect(report).to.deep.include({ ...CLEAN, blocks: 10, pending: 0, findings: [] })
    expect(report.done).to.equal(report.total)
  })

  it('counts a block once that lacks copies, however many rows name it', async () => {
    const block = await world.run(world.put('k'))
    world.drive(3).blocks.clear()
    world.drive(2).blocks.clear()
    const report = await check()
    expect(report).to.include({ ...CLEAN, underReplicated: 1 })
    expect(report.findings[0]).to.include({ block: formatId(block), bucket: 'b', key: 'k' })
  })

  it('tells a slice without any good copy from one whose drives do not answer', async () => {
    await world.run(world.put('k'))
    for (const at of [1, 2, 3]) world.drive(at).blocks.clear()
    expect(await check()).to.include({ ...CLEAN, dangling: 1 })
    world.drive(3).isUp = false
    const report = await check()
    expect(report).to.include({ ...CLEAN, underReplicated: 1 })
    expect(report.findings.some(({ message }) => message.includes(idOf(3)))).to.equal(true)
  })

  it('counts copies that are marked as damaged, and finds others when it reads them', async () => {
    const marked = await world.run(world.put('marked'))
    const rotten = await world.run(world.put('rotten'))
    world.damage(marked, idOf(1))
    world.mender.rotten.add(`${formatId(rotten)} ${idOf(2)}`)
    expect(await check()).to.include({ ...CLEAN, corrupt: 1, underReplicated: 1 })
    expect(await check(true)).to.include({ ...CLEAN, corrupt: 2, underReplicated: 1 })
  })

  it('leaves what belongs to a living writer or waits for its grace out of account', async () => {
    const owner = { space: world.space, bucket: 'b', key: 'k', map: world.op() }
    world.storeBlock(owner)
    isPast = true
    expect(await check()).to.include({ ...CLEAN, pending: 1 })
    await world.run(world.sessions.close(world.session))
    isPast = false
    expect(await check()).to.include({ ...CLEAN, pending: 1 })
    isPast = true
    expect(await check()).to.include({ ...CLEAN, orphaned: 1, pending: 0 })
  })

  it('counts garbage in its grace as pending', async () => {
    await world.run(world.put('k'))
    await world.run(world.delete('k'))
    await world.run(world.sessions.close(world.session))
    isPast = true
    expect(await check()).to.include({ ...CLEAN, pending: 1 })
  })

  it('changes nothing', async () => {
    const block = await world.run(world.put('k'))
    world.drive(3).blocks.clear()
    world.damage(block, idOf(2))
    await check(true)
    expect(world.mender.copies).to.deep.equal([])
    expect(world.good(block)).to.deep.equal([idOf(1)])
  })

  it('is refused while another runs, and can be cancelled', async () => {
    for (let at = 0; at < 10; at++) await world.run(world.put(`k${at}`))
    const name = runner.start(false)
    expect(() => runner.start(false))
      .to.throw()
      .with.property('code', 'Busy')
    runner.get(name, true)
    await world.clock.advance(100)
    expect(runner.get(undefined, false).state).to.equal('cancelled')
    expect(() => runner.get('other', false))
      .to.throw()
      .with.property('code', 'InvalidArgument')
  })

  it('fails when the store fails', async () => {
    await world.run(world.put('k'))
    world.line.failReads(100)
    const report = await check()
    world.line.failReads(0)
    expect(report.state).to.equal('failed')
    expect(report.error).to.be.a('string')
  })
})
