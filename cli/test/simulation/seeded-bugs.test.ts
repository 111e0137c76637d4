import { expect } from 'chai'
import { runSeed } from './run-seed.js'
import { BUGS } from './seeded-bugs.js'

const FIRST_SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const SEEDS_MAX = 100

describe('The oracle of the simulated cluster', () => {
  for (const [name, bug] of Object.entries(BUGS)) {
    it(`finds ${name}`, async () => {
      let found: readonly string[] = []
      let seed = FIRST_SEED
      for (; seed < FIRST_SEED + SEEDS_MAX && found.length === 0; seed++) {
        found = (await runSeed(seed, { bug })).violations
      }
      expect(found.length, `seeds ${FIRST_SEED} to ${seed - 1}`).to.be.greaterThan(0)
    }).timeout(120_000)
  }
})
