/** What this machine can do at this moment: the measuring stick that stands beside every figure. */
import { type ChildProcess, fork } from 'node:child_process'
import { createHash, createHmac, hash, randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { runClosedLoop } from './load/closed-loop.js'
import type { WorkItem } from './load/work.js'
import { cpuSeconds } from './process-usage.js'

/** Times are CPU time unless they say otherwise; rates are in MB (10^6 bytes) per second. */
export interface Probes {
  /** One bare node:http server, 64 connections, empty answers. */
  readonly emptyReplyCpuMicros: number
  /** Checking one request's signature with a derived key at hand. */
  readonly signatureCpuMicros: number
  readonly md5MegabytesPerSecond: number
  readonly crc32MegabytesPerSecond: number
  /** One TCP stream from another process: wall clock. */
  readonly loopbackMegabytesPerSecond: number
  readonly receiveCpuMicrosPerMegabyte: number
  readonly sendCpuMicrosPerMegabyte: number
  /** Sequential, with one fdatasync at the end: wall clock, then CPU. */
  readonly writeMegabytesPerSecond: number
  readonly writeCpuMicrosPerMegabyte: number
  /** After an append of 4 KiB: wall clock. */
  readonly fdatasyncP50Ms: number
  readonly fdatasyncP99Ms: number
  /** 4 KiB from the page cache. */
  readonly readCpuMicros: number
  /** One entry of a listing as text. */
  readonly listEntryCpuMicros: number
}

const MEGABYTE = 1_000_000
const EMPTY_REPLIES = 20_000
const SYNCS = 400
const STREAM_BYTES = 512 * MEGABYTE
const WRITE_BYTES = 256 * MEGABYTE

/** Runs all probes, about five seconds. `folder` lies on the disk that the server uses. */
export async function runProbes(folder: string): Promise<Probes> {
  return {
    emptyReplyCpuMicros: await probeEmptyReply(),
    signatureCpuMicros: cpuMicrosOf(5000, checkSignature),
    ...probeDigests(),
    ...(await probeStream()),
    ...probeWrite(folder),
    ...probeSync(folder),
    readCpuMicros: probeRead(folder),
    listEntryCpuMicros: cpuMicrosOf(20, listPage) / 1000,
  }
}

/** CPU time of this process for one call of `work`, in µs. */
function cpuMicrosOf(rounds: number, work: () => unknown): number {
  for (let round = 0; round < rounds / 10; round++) work()
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) work()
  const used = process.cpuUsage(before)
  return (used.user + used.system) / rounds
}

const SIGNING_KEY = randomBytes(32)
const CANONICAL_REQUEST = 'x'.repeat(400)

function checkSignature(): string {
  const digest = createHash('sha256').update(CANONICAL_REQUEST).digest('hex')
  return createHmac('sha256', SIGNING_KEY).update(`AWS4-HMAC-SHA256\n${digest}`).digest('hex')
}

function listPage(): string {
  let text = ''
  for (let index = 0; index < 1000; index++) {
    text += `<Contents><Key>list/00000/object-${index}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>`
    text += `<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>${index}</Size></Contents>`
  }
  return text
}

function probeDigests(): Pick<Probes, 'md5MegabytesPerSecond' | 'crc32MegabytesPerSecond'> {
  const bytes = randomBytes(8 * MEGABYTE)
  const rate = (work: () => unknown): number => (8 * MEGABYTE) / cpuMicrosOf(20, work)
  return {
    md5MegabytesPerSecond: rate(() => hash('md5', bytes)),
    crc32MegabytesPerSecond: rate(() => crc32(bytes)),
  }
}

/** A helper process that tells the port it listens on. */
async function forkServer(file: string): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)))
  const port = await new Promise<number>((resolve) =>
    child.once('message', (value) => resolve(Number(value))),
  )
  return { child, port }
}

async function probeEmptyReply(): Promise<number> {
  const { child, port } = await forkServer('./empty-reply-server.js')
  try {
    const endpoint = `http://127.0.0.1:${port}`
    const item: WorkItem = {
      request: { head: Buffer.from(`GET / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`) },
      status: 200,
    }
    const run = (count: number): Promise<unknown> =>
      runClosedLoop({ endpoint, connections: 64, items: Array.from({ length: count }, () => item) })
    await run(EMPTY_REPLIES / 4)
    const before = await cpuSeconds([child.pid ?? 0])
    await run(EMPTY_REPLIES)
    return (((await cpuSeconds([child.pid ?? 0])) - before) / EMPTY_REPLIES) * 1e6
  } finally {
    child.kill()
  }
}

type StreamProbes = Pick<
  Probes,
  'loopbackMegabytesPerSecond' | 'receiveCpuMicrosPerMegabyte' | 'sendCpuMicrosPerMegabyte'
>

async function probeStream(): Promise<StreamProbes> {
  const { child, port } = await forkServer('./stream-server.js')
  try {
    const sentBefore = await cpuSeconds([child.pid ?? 0])
    const before = process.cpuUsage()
    const started = performance.now()
    const socket = connect(port, '127.0.0.1')
    socket.resume()
    await new Promise<void>((resolve, reject) => {
      socket.once('end', resolve)
      socket.once('error', reject)
    })
    const seconds = (performance.now() - started) / 1000
    const used = process.cpuUsage(before)
    const sent = (await cpuSeconds([child.pid ?? 0])) - sentBefore
    const megabytes = STREAM_BYTES / MEGABYTE
    return {
      loopbackMegabytesPerSecond: megabytes / seconds,
      receiveCpuMicrosPerMegabyte: (used.user + used.system) / megabytes,
      sendCpuMicrosPerMegabyte: (sent * 1e6) / megabytes,
    }
  } finally {
    child.kill()
  }
}

function withFile<T>(folder: string, work: (file: number) => T): T {
  const path = join(folder, 'probe')
  const file = openSync(path, 'w+')
  try {
    return work(file)
  } finally {
    closeSync(file)
    rmSync(path)
  }
}

function probeWrite(folder: string): Pick<Probes, 'writeMegabytesPerSecond' | 'writeCpuMicrosPerMegabyte'> {
  const bytes = randomBytes(8 * MEGABYTE)
  return withFile(folder, (file) => {
    const before = process.cpuUsage()
    const started = performance.now()
    for (let written = 0; written < WRITE_BYTES; written += bytes.length) writeSync(file, bytes)
    fdatasyncSync(file)
    const used = process.cpuUsage(before)
    const megabytes = WRITE_BYTES / MEGABYTE
    return {
      writeMegabytesPerSecond: megabytes / ((performance.now() - started) / 1000),
      writeCpuMicrosPerMegabyte: (used.user + used.system) / megabytes,
    }
  })
}

function probeSync(folder: string): Pick<Probes, 'fdatasyncP50Ms' | 'fdatasyncP99Ms'> {
  const bytes = randomBytes(4096)
  return withFile(folder, (file) => {
    const times = Array.from({ length: SYNCS }, () => {
      writeSync(file, bytes)
      const started = performance.now()
      fdatasyncSync(file)
      return performance.now() - started
    }).sort((a, b) => a - b)
    return { fdatasyncP50Ms: times[SYNCS / 2] ?? 0, fdatasyncP99Ms: times[SYNCS * 0.99] ?? 0 }
  })
}

function probeRead(folder: string): number {
  const bytes = randomBytes(4096)
  return withFile(folder, (file) => {
    writeSync(file, bytes)
    return cpuMicrosOf(20_000, () => readSync(file, bytes, 0, bytes.length, 0))
  })
}
