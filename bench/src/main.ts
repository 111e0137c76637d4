/**
 * `npm run bench`: drives an S3 endpoint and prints its figures beside the probes of the same run.
 * Without `--endpoint` it starts a Cairn of its own with three drives on one disk, durable.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startCairn } from './cairn-process.js'
import { measureAll } from './measure.js'
import { runProbes } from './probes.js'

const { values } = parseArgs({
  options: {
    endpoint: { type: 'string' },
    'access-key': { type: 'string' },
    'secret-key': { type: 'string' },
    region: { type: 'string', default: 'us-east-1' },
    pids: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
  },
})

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const folder = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
const own = values.endpoint === undefined ? await startCairn(join(folder, 'data')) : undefined
try {
  const target = {
    endpoint: values.endpoint ?? own?.endpoint ?? '',
    accessKey: values['access-key'] ?? own?.accessKey ?? '',
    secretKey: values['secret-key'] ?? own?.secretKey ?? '',
    region: values.region,
  }
  const pids = own === undefined ? values.pids.split(',').filter(Boolean).map(Number) : [own.pid]
  const before = await runProbes(folder)
  await measureAll({ target, pids, probes: before, say, scale: values.quick ? 0.1 : 1 })
  const after = await runProbes(folder)
  say('')
  say('probe                        before      after')
  for (const name of Object.keys(before) as (keyof typeof before)[]) {
    say(`${name.padEnd(28)} ${before[name].toFixed(2).padStart(8)} ${after[name].toFixed(2).padStart(8)}`)
  }
} finally {
  await own?.stop()
  await rm(folder, { recursive: true, force: true })
}
