import type { ClusterMap, ServerSpeed, SpeedKind } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type HeldServer, judgeSpeeds, SlowServers } from '../../../src/core/cluster/slow-servers.js'

const SERVERS = ['s1', 's2', 's3', 's4', 's5']
const ALWAYS = (): boolean => true

function mapOf(servers: readonly string[], runStart = 1): ClusterMap {
  return {
    clusterId: 'c',
    incarnation: 'i',
    featureLevel: 1,
    epoch: 1,
    members: servers.map((id) => ({ id, address: id, zone: '', rack: '', host: id, runStart })),
    drives: servers.map((server) => ({ id: `drive of ${server}`, server, state: 'up', capacityBytes: 1 })),
    pools: [],
  }
}

/** Calls of 1 to 2 ms by all servers but those named, which take so many ms. */
function speedsOf(slowMs: Readonly<Record<string, number>> = {}, kind: SpeedKind = 'write'): ServerSpeed[] {
  return SERVERS.map((server) => {
    const ms = slowMs[server]
    const lowMicros = ms === undefined ? 1_000 : ms * 1_000
    return { server, kind, calls: 10, lowMicros, highMicros: 2 * lowMicros }
  })
}

describe('What is said of the speed of servers', () => {
  const slowOf = (speeds: readonly ServerSpeed[]): string[] =>
    [...judgeSpeeds(speeds)].flatMap(([server, micros]) => (micros === undefined ? [] : server))

  it('finds the one that is much slower than the others, in either kind of calls', () => {
    expect(slowOf([...speedsOf({ s2: 100 }), ...speedsOf({}, 'read')])).to.deep.equal(['s2'])
    expect(slowOf([...speedsOf(), ...speedsOf({ s4: 100 }, 'read')])).to.deep.equal(['s4'])
  })

  it('finds none where all are slow, where too few are known, or where the difference is small', () => {
    expect(slowOf(speedsOf({ s1: 90, s2: 100, s3: 95, s4: 120, s5: 110 }))).to.deep.equal([])
    expect(slowOf(speedsOf({ s2: 100 }).slice(0, 2))).to.deep.equal([])
    expect(slowOf(speedsOf({ s2: 9 }))).to.deep.equal([])
    expect(slowOf(speedsOf({ s2: 100 }).map((each) => ({ ...each, calls: 2 })))).to.deep.equal([])
  })

  it('does not take a server for slow of which some calls were large', () => {
    const speeds = speedsOf().map((each) => ({ ...each, highMicros: 100_000 }))
    expect(
      slowOf(speeds.map((each) => (each.server === 's3' ? { ...each, lowMicros: 90_000 } : each))),
    ).to.deep.equal([])
  })
})

describe('A slow server', () => {
  let clock: SimulatedClock
  let slow: SlowServers
  let held: HeldServer[]
  const map = mapOf(SERVERS)

  /** One report of each observer, then a look. */
  async function pass(
    reports: readonly ServerSpeed[][],
    of = map,
    answers: (drive: string) => boolean = ALWAYS,
  ) {
    await clock.advance(5_000)
    for (const [at, speeds] of reports.entries()) slow.note({ observer: `gateway ${at}`, speeds })
    slow.look(of, answers)
  }

  const slowNow = (): string[] => SERVERS.filter((server) => slow.isSlow(server))

  beforeEach(() => {
    clock = createSimulatedClock(createSeededRandom(1))
    held = []
    slow = new SlowServers({ clock, onHeld: (each) => held.push(each) })
  })

  it('is held once two reports in a row say so', async () => {
    await pass([speedsOf({ s3: 100 })])
    expect(slowNow()).to.deep.equal([])
    await pass([speedsOf({ s3: 100 })])
    expect(slowNow()).to.deep.equal(['s3'])
    expect(held).to.deep.equal([{ server: 's3', lowMs: 100, holdMs: 60_000 }])
  })

  it('is not held for one bad report now and then', async () => {
    for (let round = 0; round < 10; round++) await pass([speedsOf(round % 2 === 0 ? { s3: 100 } : {})])
    expect(held).to.deep.equal([])
  })

  it('is held only if most of those who know it say so', async () => {
    for (let round = 0; round < 4; round++) await pass([speedsOf({ s3: 100 }), speedsOf()])
    expect(held).to.deep.equal([])
    for (let round = 0; round < 2; round++) await pass([speedsOf({ s3: 100 }), speedsOf({ s3: 100 })])
    expect(slowNow()).to.deep.equal(['s3'])
  })

  it('is the only one of five, and the worst; others wait for their turn', async () => {
    for (let round = 0; round < 4; round++) await pass([speedsOf({ s3: 100, s4: 300 })])
    expect(slowNow()).to.deep.equal(['s4'])
  })

  it('is not held while another does not answer', async () => {
    for (let round = 0; round < 4; round++)
      await pass([speedsOf({ s3: 100 })], map, (drive) => drive !== 'drive of s1')
    expect(held).to.deep.equal([])
  })

  it('gets another chance after its time, and twice as long if it is slow again', async () => {
    for (let round = 0; round < 2; round++) await pass([speedsOf({ s3: 100 })])
    for (let round = 0; round < 12; round++) await pass([speedsOf({ s3: 100 })])
    expect(slowNow()).to.deep.equal([])
    await pass([speedsOf({ s3: 100 })])
    expect(slowNow()).to.deep.equal(['s3'])
    expect(held.map(({ holdMs }) => holdMs)).to.deep.equal([60_000, 120_000])
  })

  it('is judged anew once its process has started again', async () => {
    for (let round = 0; round < 2; round++) await pass([speedsOf({ s3: 100 })])
    await pass([speedsOf()], mapOf(SERVERS, 2))
    expect(slowNow()).to.deep.equal([])
  })
})
