/** A Cairn server process of the benchmark's own. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Target } from './target.js'

export interface CairnProcess {
  readonly target: Target
  stop(): Promise<void>
}

const COMMAND = fileURLToPath(new URL('../../../cli/bin/cairn.js', import.meta.url))

/** Those of the command's first line, for the Node.js that runs us. */
const NODE_FLAGS = /^#!.* node (.*)$/m.exec(readFileSync(COMMAND, 'utf8'))?.[1]?.split(' ') ?? []

/** Starts `cairn start` in a new folder and resolves once it is ready. */
export async function startCairn(dataDir: string): Promise<CairnProcess> {
  const child = spawn(process.execPath, [...NODE_FLAGS, COMMAND, 'start'], {
    env: { ...process.env, CAIRN_DATA_DIR: dataDir, CAIRN_PORT: '0', CAIRN_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const output = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (/^S3 endpoint: .*\n/m.test(text)) resolve(text)
    })
    child.once('exit', (status) => reject(new Error(`cairn exited ${status} before it was ready`)))
  })
  const root = JSON.parse(readFileSync(join(dataDir, 'root.json'), 'utf8')) as {
    accessKey: string
    secretKey: string
  }
  return {
    target: {
      name: 'cairn',
      endpoint: /^S3 endpoint: (.*)$/m.exec(output)?.[1] ?? '',
      ...root,
      region: 'us-east-1',
      pids: [child.pid ?? 0],
      contract: 'three copies on one disk, each synced, and the metadata synced',
    },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
