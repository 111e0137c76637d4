/** What this machine can do at this moment: the measuring stick that stands beside every figure. */
import { fork } from 'node:child_process'
import { hash, randomBytes } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runLoad } from './load.js'

export interface Probes {
  readonly md5MegabytesPerSecond: number
  readonly emptyReplyCpuMicros: number
  readonly loopbackMegabytesPerSecond: number
  readonly fdatasyncP50Ms: number
  readonly writeMegabytesPerSecond: number
}

const MEGABYTE = 1_000_000
const EMPTY_REPLIES = 20_000
const SYNCS = 200

/** Runs all probes, about five seconds. `folder` lies on the disk that the server uses. */
export async function runProbes(folder: string): Promise<Probes> {
  return {
    md5MegabytesPerSecond: probeMd5(),
    emptyReplyCpuMicros: await probeEmptyReply(),
    loopbackMegabytesPerSecond: await probeLoopback(),
    fdatasyncP50Ms: probeSync(folder),
    writeMegabytesPerSecond: probeWrite(folder),
  }
}

function probeMd5(): number {
  const bytes = randomBytes(8 * 1024 * 1024)
  const started = performance.now()
  for (let round = 0; round < 16; round++) hash('md5', bytes)
  return (16 * bytes.length) / MEGABYTE / ((performance.now() - started) / 1000)
}

/** CPU of a bare node:http server for one keep-alive GET with an empty answer, at 64 connections. */
async function probeEmptyReply(): Promise<number> {
  const child = fork(fileURLToPath(new URL('./empty-reply-server.js', import.meta.url)))
  try {
    const port = await new Promise<number>((resolve) =>
      child.once('message', (value) => resolve(value as number)),
    )
    const endpoint = `http://127.0.0.1:${port}`
    const head = Buffer.from(`GET / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
    const options = {
      endpoint,
      connections: 64,
      prepare: () => ({ head }),
      expectStatus: 200,
      pids: [child.pid ?? 0],
    }
    await runLoad({ ...options, requests: EMPTY_REPLIES / 4 })
    return (await runLoad({ ...options, requests: EMPTY_REPLIES })).cpuMicros
  } finally {
    child.kill()
  }
}

async function probeLoopback(): Promise<number> {
  const total = 512 * MEGABYTE
  const server = createServer((socket) => {
    const chunk = Buffer.alloc(MEGABYTE)
    let sent = 0
    function more(): void {
      while (sent < total) {
        sent += chunk.length
        if (!socket.write(chunk)) return
      }
      socket.end()
    }
    socket.on('drain', more)
    more()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const started = performance.now()
  const socket = connect(port, '127.0.0.1')
  socket.resume()
  await new Promise<void>((resolve, reject) => {
    socket.once('end', resolve)
    socket.once('error', reject)
  })
  const seconds = (performance.now() - started) / 1000
  server.close()
  return total / MEGABYTE / seconds
}

function probeSync(folder: string): number {
  const path = join(folder, 'probe-sync')
  const file = openSync(path, 'w')
  const bytes = randomBytes(4096)
  const times: number[] = []
  for (let round = 0; round < SYNCS; round++) {
    writeSync(file, bytes)
    const started = performance.now()
    fdatasyncSync(file)
    times.push(performance.now() - started)
  }
  closeSync(file)
  rmSync(path)
  return times.sort((a, b) => a - b)[SYNCS / 2] ?? 0
}

function probeWrite(folder: string): number {
  const path = join(folder, 'probe-write')
  const file = openSync(path, 'w')
  const bytes = randomBytes(8 * MEGABYTE)
  const started = performance.now()
  for (let round = 0; round < 32; round++) writeSync(file, bytes)
  fdatasyncSync(file)
  const seconds = (performance.now() - started) / 1000
  closeSync(file)
  rmSync(path)
  return (32 * bytes.length) / MEGABYTE / seconds
}
