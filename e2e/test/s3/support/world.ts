/** One running system for a suite, of the layout asked for. The wire is examined, so nothing waits for the disk. */
import type { S3Client } from '@aws-sdk/client-s3'
import { removeFolder, temporaryFolder } from '../../../src/harness/folders.js'
import { type RunningRoles, rolesLayout, startRoles } from '../../../src/harness/roles.js'
import { connectS3 } from '../../../src/harness/s3.js'
import type { Server } from '../../../src/harness/server.js'

export interface World {
  readonly server: Server
  /** Path style, one attempt for each request. */
  readonly s3: S3Client
  readonly folder: string
  stop(): Promise<void>
}

/** Time for a `before` hook that starts a world. */
export const START_TIMEOUT_MS = 120_000

export async function startWorld(label: string, env: Readonly<Record<string, string>> = {}): Promise<World> {
  const folder = await temporaryFolder(label)
  const { server, stop } = await startLayout(folder, { CAIRN_DURABILITY: 'none', ...env })
  const s3 = connectS3(server)
  return {
    server,
    s3,
    folder,
    async stop() {
      s3.destroy()
      await stop()
      await removeFolder(folder)
    },
  }
}

type Env = Readonly<Record<string, string>>

async function startLayout(folder: string, env: Env): Promise<RunningRoles> {
  return rolesLayout() === 'all' ? startRoles({ folder, env }) : shareRoles(env)
}

const shared = new Map<string, Promise<RunningRoles>>()

/** One cluster for all worlds of the same settings, until the end of the run: it has many processes. */
async function shareRoles(env: Env): Promise<RunningRoles> {
  const key = JSON.stringify(env)
  const running = shared.get(key) ?? openRoles(env)
  shared.set(key, running)
  return { ...(await running), stop: async () => undefined }
}

async function openRoles(env: Env): Promise<RunningRoles> {
  const folder = await temporaryFolder('cluster')
  const roles = await startRoles({ folder, env })
  return {
    ...roles,
    async stop() {
      await roles.stop()
      await removeFolder(folder)
    },
  }
}

after(async function () {
  this.timeout(START_TIMEOUT_MS)
  for (const running of shared.values()) await (await running).stop()
})

let made = 0

/** A bucket name that no other test of the run uses. */
export function freshName(): string {
  made += 1
  return `bucket-${process.pid}-${made}`
}
