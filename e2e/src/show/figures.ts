/** First figures: CPU per 4 KiB PUT and GET at 1, 16 and 64 connections, MB/s for 64 MiB, beside the probes. */
import { fileURLToPath } from 'node:url'
import { runOk } from '../harness/run.js'
import type { Report } from './report.js'

const BENCH = fileURLToPath(new URL('../../../../bench/dist/src/main.js', import.meta.url))

/** `npm run show -- figures`. */
export async function showFigures(report: Report): Promise<void> {
  const said = await runOk(process.execPath, [BENCH])
  for (const line of said.stdout.toString().trimEnd().split('\n')) report.step(line)
}
