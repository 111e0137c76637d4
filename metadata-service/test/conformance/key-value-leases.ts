import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import type { Commit } from '../../src/ports.js'
import { bytes, commit, createdAt, find, put, range, type Subject, settle, text, write } from './subject.js'

/** For a store that counts the time of leases by itself. */
export interface LeaseTimes {
  /** How long tests have theirs, in ms. */
  readonly longMs: number
  readonly shortMs: number
  /** How late they may end. */
  readonly lateMs: number
}

const SIMULATED: LeaseTimes = { longMs: 10_000, shortMs: 1_000, lateMs: 1 }

const RENEWALS = 3

type Scenario = (subject: Subject, times: LeaseTimes) => Promise<void>

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action
    return 'none'
  } catch (error) {
    if (!hasCode(error, 'SessionExpired')) throw error
    return error.code
  }
}

const endsWithItsRows: Scenario = async (subject, { longMs, lateMs }) => {
  const lease = await settle(subject, subject.store.grantLease(longMs))
  const created = await write(subject, put('s/1', 'session', lease), put('t', 'stays'))
  const one = { compares: [createdAt('s/1', created)], puts: [put('a', '1')] }
  expect((await commit(subject, one)).committed).to.equal(true)
  await subject.world.clock.advance(longMs + lateMs)
  expect((await commit(subject, { ...one, puts: [put('a', '2')] })).committed).to.equal(false)
  expect(await find(subject, 's/1')).to.equal(undefined)
  expect(text((await find(subject, 't'))?.value)).to.equal('stays')
  expect(text((await find(subject, 'a'))?.value)).to.equal('1')
}

const livesWhileRenewed: Scenario = async (subject, { longMs, lateMs }) => {
  const lease = await settle(subject, subject.store.grantLease(longMs))
  await write(subject, put('s/1', 'session', lease))
  for (let round = 0; round < RENEWALS; round++) {
    await subject.world.clock.advance(0.6 * longMs)
    await settle(subject, subject.store.renewLease(lease))
  }
  expect(text((await find(subject, 's/1'))?.value)).to.equal('session')
  await subject.world.clock.advance(longMs + lateMs)
  expect(await find(subject, 's/1')).to.equal(undefined)
  expect(await codeOf(settle(subject, subject.store.renewLease(lease)))).to.equal('SessionExpired')
}

const goesWhenRevoked: Scenario = async (subject, { longMs }) => {
  const lease = await settle(subject, subject.store.grantLease(longMs))
  await write(subject, put('s/1', 'session', lease))
  await settle(subject, subject.store.revokeLease(lease))
  expect(await find(subject, 's/1')).to.equal(undefined)
}

const takesNoMoreRows: Scenario = async (subject, { shortMs, lateMs }) => {
  const lease = await settle(subject, subject.store.grantLease(shortMs))
  await subject.world.clock.advance(shortMs + lateMs)
  const late: Commit = { compares: [], puts: [put('s/1', 'late', lease)] }
  const refused = codeOf(subject.store.commit({ ...late, proof: { keys: [], carries: () => false } }))
  const neighbour = write(subject, put('n', '1'))
  expect(await settle(subject, refused)).to.equal('SessionExpired')
  await neighbour
  expect(text((await find(subject, 'n'))?.value)).to.equal('1')
  expect(await find(subject, 's/1')).to.equal(undefined)
}

const freesItsRows: Scenario = async (subject, { shortMs, lateMs }) => {
  const lease = await settle(subject, subject.store.grantLease(shortMs))
  await write(subject, put('s/1', 'session', lease))
  await write(subject, put('s/1', 'free'))
  await subject.world.clock.advance(shortMs + lateMs)
  expect(text((await find(subject, 's/1'))?.value)).to.equal('free')
}

const isTold: Scenario = async (subject, { shortMs, lateMs }) => {
  const lease = await settle(subject, subject.store.grantLease(shortMs))
  const from = await write(subject, put('w/1', '1', lease))
  const events = subject.store.watch(range('w/', 'w0'), from, new AbortController().signal)
  const first = events[Symbol.asyncIterator]().next()
  await subject.world.clock.advance(shortMs + lateMs)
  const { value } = await first
  expect([text(value?.key ?? bytes('')), value?.value]).to.deep.equal(['w/1', undefined])
}

const SCENARIOS: readonly (readonly [name: string, run: Scenario])[] = [
  ['deletes the rows of a lease that ends, and fails commits that compare their creation', endsWithItsRows],
  ['lives as long as it is renewed', livesWhileRenewed],
  ['deletes the rows at once when it is revoked', goesWhenRevoked],
  ['refuses to put a row under a lease that has ended, and only that commit', takesNoMoreRows],
  ['frees a row that is put again without the lease', freesItsRows],
  ['tells of rows that went with their lease', isTold],
]

/** Adds the tests of leases. Where `times` are real they all run at once, each on a store of its own. */
export function describeLeases(
  name: string,
  open: () => Promise<Subject>,
  times: LeaseTimes | undefined,
): void {
  async function run(scenario: Scenario): Promise<void> {
    const subject = await open()
    try {
      await scenario(subject, times ?? SIMULATED)
    } finally {
      await settle(subject, subject.store.close())
      subject.discard?.()
    }
  }

  describe(`leases of ${name}`, () => {
    const started = new Map<string, Promise<unknown>>()

    before(() => {
      if (times === undefined) return
      for (const [title, scenario] of SCENARIOS) {
        started.set(
          title,
          run(scenario).catch((error: unknown) => error),
        )
      }
    })

    for (const [title, scenario] of SCENARIOS) {
      it(title, async () => {
        if (times === undefined) return run(scenario)
        const error = await started.get(title)
        if (error !== undefined) throw error
      })
    }
  })
}
