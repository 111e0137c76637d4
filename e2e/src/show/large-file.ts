/** A 2 GiB file by aws-cli's multipart, up and down, byte-identical, in bounded memory. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { hashFile, removeFolder, temporaryFolder } from '../harness/folders.js'
import { runOk } from '../harness/run.js'
import { pssBytes, startServer } from '../harness/server.js'
import { awsArguments } from './clients.js'
import type { Report } from './report.js'

const FILE_BYTES = 2 * 1024 ** 3
const MEBIBYTE = 1024 * 1024
const PSS_MAX_MIB = 500
const SAMPLE_MS = 200

async function writeRandom(path: string, sizeBytes: number): Promise<void> {
  const out = createWriteStream(path)
  const block = randomBytes(8 * MEBIBYTE)
  for (let written = 0; written < sizeBytes; written += block.length) {
    block.writeUInt32LE(written / block.length, 0)
    if (!out.write(Buffer.from(block))) await once(out, 'drain')
  }
  out.end()
  await once(out, 'close')
}

/** `npm run show -- large-file`; a smaller file for the sample in `npm test`. */
export async function showLargeFile(report: Report, fileBytes: number = FILE_BYTES): Promise<void> {
  const folder = await temporaryFolder('large')
  const server = await startServer({ dataDir: join(folder, 'data') })
  let peak = 0
  const sampler = setInterval(() => {
    void pssBytes(server.pid).then((bytes) => {
      peak = Math.max(peak, bytes)
    })
  }, SAMPLE_MS)
  try {
    const [file, down] = [join(folder, 'file'), join(folder, 'down')]
    await writeRandom(file, fileBytes)
    const options = { env: server.awsEnv }
    const aws = (...args: string[]) => runOk('aws', [...awsArguments(server), 's3', ...args], options)
    await aws('mb', 's3://large')
    const up = await aws('cp', '--only-show-errors', file, 's3://large/file')
    report.figure('up', fileBytes / 1e6 / up.seconds, ' MB/s')
    const back = await aws('cp', '--only-show-errors', 's3://large/file', down)
    report.figure('down', fileBytes / 1e6 / back.seconds, ' MB/s')
    report.holds(
      `${fileBytes / MEBIBYTE} MiB up and down by multipart, SHA-256 equal`,
      (await hashFile(file)) === (await hashFile(down)),
    )
    report.atMost('highest PSS of all server processes', peak / MEBIBYTE, PSS_MAX_MIB, ' MiB')
  } finally {
    clearInterval(sampler)
    await server.stop()
    await removeFolder(folder)
  }
}
