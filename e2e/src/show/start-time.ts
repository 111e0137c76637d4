/** Start to the first 200 on a GET with one million small objects: after a clean stop and after kill -9. */
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { runLoadTool } from '../harness/load-tool.js'
import { presign } from '../harness/presign.js'
import { type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const OBJECTS = 1_000_000
const CEILING_SECONDS = 3
const POLL_MS = 10

/** `npm run show -- start-time`; CAIRN_SHOW_OBJECTS makes it smaller. */
export async function showStartTime(report: Report): Promise<void> {
  const objects = Number(process.env.CAIRN_SHOW_OBJECTS ?? OBJECTS)
  const dataDir = await temporaryFolder('start')
  let server: Server | undefined
  try {
    server = await startServer({ dataDir })
    const { path, seconds } = await runLoadTool(server, { objects, sizeBytes: 100 })
    report.figure(`${objects} objects of 100 bytes written`, objects / seconds, ' per s')
    await server.stop()
    server = await startAndMeasure(dataDir, path, 'after a clean stop', report)
    await server.kill()
    server = await startAndMeasure(dataDir, path, 'after kill -9', report)
    await runLoadTool(server, { objects: 20_000, sizeBytes: 100 })
    await server.kill()
    server = await startAndMeasure(dataDir, path, 'after kill -9 under writes', report)
  } finally {
    await server?.stop()
    await removeFolder(dataDir)
  }
}

async function startAndMeasure(dataDir: string, path: string, when: string, report: Report): Promise<Server> {
  const started = performance.now()
  const server = await startServer({ dataDir })
  while (!(await answers(server, path))) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  report.timed.atMost(
    `start to first 200 ${when}`,
    (performance.now() - started) / 1000,
    CEILING_SECONDS,
    ' s',
  )
  return server
}

async function answers(server: Server, path: string): Promise<boolean> {
  const response = await fetch(await presign(server, 'GET', path)).catch(() => undefined)
  await response?.arrayBuffer()
  return response?.status === 200
}
