import { unitCheck } from '@cairn/protocol'
import { expect } from 'chai'
import { createWorld, patternBytes, type World } from '../world/world.js'

const BYTES = patternBytes(4096)

describe('blocks at hand in this process', () => {
  let world: World
  beforeEach(async () => {
    world = await createWorld({ inProcess: true })
    await world.run(world.client.putObject('b', 'k', BYTES))
    for (const server of world.servers) server.isWarm = true
  })

  /** In an object, for a promise would be waited for by whoever hands it on. */
  async function read(range?: { offset: number; length: number }): Promise<{
    readonly answer: Uint8Array | Promise<Uint8Array> | undefined
  }> {
    const opened = await world.run(world.client.openObject('b', 'k'))
    return { answer: opened.readAtOnce?.(range) }
  }

  async function readBytes(): Promise<Buffer> {
    const { answer } = await read()
    const bytes = answer instanceof Promise ? await world.run(answer) : answer
    return Buffer.from(bytes ?? [])
  }

  /** Often enough that every replica is asked; the ordinary way dials those that were not yet. */
  async function readOften(): Promise<Buffer[]> {
    const answers: Buffer[] = []
    for (let time = 0; time < 12; time++) answers.push(await readBytes())
    return answers
  }

  const count = (of: 'gets' | 'getsNow'): number => world.servers.reduce((sum, server) => sum + server[of], 0)

  it('are handed out in the turn, whole or a range of them', async () => {
    await readOften()
    const gets = count('gets')
    const { answer: whole } = await read()
    const { answer: part } = await read({ offset: 10, length: 20 })
    expect(whole).to.be.instanceOf(Uint8Array)
    expect(Buffer.from(whole as Uint8Array).equals(BYTES)).to.equal(true)
    expect(Buffer.from(part as Uint8Array).equals(BYTES.subarray(10, 30))).to.equal(true)
    expect(count('gets')).to.equal(gets)
  })

  it('are opened in the turn too, and what is not there is left to the ordinary way', async () => {
    await readOften()
    const opened = world.client.openObjectNow?.('b', 'k')
    expect(opened?.object).to.deep.equal((await world.run(world.client.openObject('b', 'k'))).object)
    expect(Buffer.from(opened?.readAtOnce?.() as Uint8Array).equals(BYTES)).to.equal(true)
    expect(world.client.openObjectNow?.('b', 'other')).to.equal(undefined)
    expect(world.client.openObjectNow?.('none', 'k')).to.equal(undefined)
  })

  it('are read from every replica in turn', async () => {
    await readOften()
    for (const server of world.servers) expect(server.getsNow).to.be.at.least(2)
  })

  it('are waited for where they are not at hand', async () => {
    for (const server of world.servers) server.isWarm = false
    const { answer } = await read()
    expect(answer).to.be.instanceOf(Promise)
    expect(Buffer.from(await world.run(Promise.resolve(answer ?? Buffer.alloc(0)))).equals(BYTES)).to.equal(
      true,
    )
  })

  for (const [what, check] of [
    ['their check', () => undefined],
    ['the hash in the map', unitCheck],
  ] as const) {
    it(`are not handed out if they do not match ${what}, and the replica is reported`, async () => {
      await readOften()
      world.servers[1]?.spoil(0, check)
      for (const bytes of await readOften()) expect(bytes.equals(BYTES)).to.equal(true)
      expect(world.damages.some(({ kind, drive }) => kind === 'corrupt' && drive === 'd1')).to.equal(true)
    })
  }

  it('are read from others when a replica has lost them', async () => {
    await readOften()
    world.servers[2]?.blocks.clear()
    for (const bytes of await readOften()) expect(bytes.equals(BYTES)).to.equal(true)
    expect(world.damages.some(({ kind, drive }) => kind === 'missing' && drive === 'd2')).to.equal(true)
  })
})
