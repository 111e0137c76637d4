/**
 * `npm test`: installs what the tests need where it can, runs every suite of every package on the compiled output,
 * and ends in one line `N passed, N failed, N skipped`. Zero passed tests is a failure. Suites whose tool is missing
 * skip visibly. Arguments narrow the run to files whose path contains one of them. Files run side by side, each in a
 * process that runs others before and after it: none may rely on a fixed port, folder or order.
 */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Mocha from 'mocha'
import { ensureTools } from './harness/tools.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const TEST_TIMEOUT_MS = 20_000
/** Files at once: many start several server processes of their own. */
const JOBS_MAX = 2

/** In the order of the layers: what others stand on comes first. */
const PACKAGES = ['protocol', 'client', 'metadata-service', 'chunk-server', 'gateway', 'cli', 'bench', 'e2e']

async function findSuites(filters: readonly string[]): Promise<string[]> {
  const suites: string[] = []
  for (const name of PACKAGES) {
    const folder = join(ROOT, name, 'dist', 'test')
    if (!existsSync(folder)) continue
    const files = (await readdir(folder, { recursive: true }))
      .filter((file) => file.endsWith('.test.js'))
      .sort()
    suites.push(...files.map((file) => join(folder, file)))
  }
  return suites.filter((suite) => filters.length === 0 || filters.some((filter) => suite.includes(filter)))
}

function runMocha(mocha: Mocha): Promise<Mocha.Stats> {
  return new Promise((resolve) => {
    const runner = mocha.run(() => resolve(runner.stats as Mocha.Stats))
  })
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const missing = await ensureTools(say)
for (const tool of missing) say(`missing: ${tool} (its suites are skipped)`)
const suites = await findSuites(process.argv.slice(2))
const jobs = Math.min(JOBS_MAX, availableParallelism(), suites.length)
const parallel = jobs > 1
const mocha = new Mocha({
  timeout: TEST_TIMEOUT_MS,
  reporter: 'spec',
  color: process.stdout.isTTY,
  parallel,
  jobs,
})
for (const file of suites) mocha.addFile(file)
if (!parallel) await mocha.loadFilesAsync()
const stats = await runMocha(mocha)
say(`${stats.passes} passed, ${stats.failures} failed, ${stats.pending} skipped`)
process.exit(stats.failures > 0 || stats.passes === 0 ? 1 : 0)
