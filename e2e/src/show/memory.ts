/** Memory does not grow with the number of requests served. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const SOAK = fileURLToPath(new URL('../../../../bench/dist/src/soak.js', import.meta.url))
const REQUESTS = 1_000_000
const GROWTH_MAX = 1.2

/** `npm run show -- memory`; CAIRN_SHOW_REQUESTS makes it shorter: a tenth of them is the base. */
export async function showMemory(report: Report): Promise<void> {
  const requests = Number(process.env.CAIRN_SHOW_REQUESTS ?? REQUESTS)
  const dataDir = await temporaryFolder('memory')
  const server = await startServer({ dataDir, env: { CAIRN_GC_GRACE_SECONDS: '5' } })
  try {
    const readings = await soak(server, requests, report)
    const first = readings[0] ?? Number.NaN
    const last = readings.at(-1) ?? Number.NaN
    report.atMost(`RSS after ${requests} requests, of RSS after ${requests / 10}`, last / first, GROWTH_MAX)
  } finally {
    await server.stop()
    await removeFolder(dataDir)
  }
}

/** Resident bytes after each tenth of the requests. */
async function soak(server: Server, requests: number, report: Report): Promise<number[]> {
  const { endpoint, accessKey, secretKey, pid } = server
  const target = `name=cairn,endpoint=${endpoint},access-key=${accessKey},secret-key=${secretKey},pids=${pid}`
  const args = [SOAK, '--target', target, '--requests', String(requests), '--every', String(requests / 10)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const readings: number[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const { done, residentBytes } = JSON.parse(line) as { done: number; residentBytes: number }
    readings.push(residentBytes)
    report.figure(`RSS after ${done} requests`, residentBytes / 1e6, ' MB')
  }
  if ((await ended) !== 0) throw new Error('the load failed')
  return readings
}
