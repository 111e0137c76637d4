import { expect } from 'chai'
import { runSeed, type SeedResult } from './run-seed.js'

const FIRST_SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const SEEDS = Number(process.env.CAIRN_TEST_SEEDS ?? 60)
const SEEDS_RUN_TWICE = Math.min(3, SEEDS)
const FILE = 'cli/dist/test/simulation/cluster-simulation.test.js'

function describeFailure(seed: number, { violations, trace }: SeedResult): string {
  const command = `CAIRN_TEST_SEED=${seed} CAIRN_TEST_SEEDS=1 npx mocha ${FILE}`
  return `seed ${seed}: ${violations.join('\n')}\n\nAgain: ${command}\n\n${trace}\n`
}

describe('A cluster on a seeded schedule with faults', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    it(`keeps what it acknowledges and leaves nothing behind (seed ${seed})`, async () => {
      const result = await runSeed(seed)
      expect(result.violations.length, describeFailure(seed, result)).to.equal(0)
    }).timeout(60_000)
  }

  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS_RUN_TWICE; seed++) {
    it(`runs the same way every time (seed ${seed})`, async () => {
      const [first, second] = [await runSeed(seed), await runSeed(seed)]
      expect(second.digest, `seed ${seed}`).to.equal(first.digest)
    }).timeout(60_000)
  }
})
