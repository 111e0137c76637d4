import { expect } from 'chai'
import { type Call, CallHistory, explainKey } from '../../src/check/index.js'
import { judgeRun } from './reference-run.js'
import { BUGS } from './seeded-bugs.js'

const FIRST_SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const RIGHT_HISTORIES = 1_000
const LONG_HISTORIES = 8
const SEEDS_MAX = 60

describe('The checker of histories', () => {
  it('accepts a thousand random histories of a store that is right', async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RIGHT_HISTORIES; seed++) {
      expect(await judgeRun({ seed, actions: 8 }), `seed ${seed}`).to.deep.equal([])
    }
  }).timeout(120_000)

  it('accepts long histories in which many outcomes are unknown', async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + LONG_HISTORIES; seed++) {
      expect(await judgeRun({ seed, actions: 400 }), `seed ${seed}`).to.deep.equal([])
    }
  }).timeout(120_000)

  for (const bug of BUGS) {
    it(`finds a store with the bug: ${bug}`, async () => {
      let found: readonly string[] = []
      let seed = FIRST_SEED
      for (; seed < FIRST_SEED + SEEDS_MAX && found.length === 0; seed++) {
        found = await judgeRun({ seed, bug, actions: 20 })
      }
      expect(found.length, `seeds ${FIRST_SEED} to ${seed - 1}`).to.be.greaterThan(0)
    }).timeout(60_000)
  }

  it('lets a write without an outcome happen late, once', () => {
    expect(explain(['absent', 1])).to.equal(undefined)
    expect(explain([1, 'absent'])).to.match(/no order/)
  })
})

/** One write without an outcome, and reads after it, one by one, that saw this. */
function explain(seen: readonly (number | 'absent')[]): string | undefined {
  const history = new CallHistory()
  const op = history.nextOp()
  history.end(history.begin('key', { kind: 'put', op }), 'unknown')
  for (const each of seen) {
    const call: Call = history.begin('key', { kind: 'read' })
    history.end(call, 'done', each === 'absent' ? 'absent' : { op: each })
  }
  return explainKey(history, 'key', false)
}
