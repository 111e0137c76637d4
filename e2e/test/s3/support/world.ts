/**
 * One running system for a suite: all roles in one process, or, with CAIRN_E2E_ROLES=apart, one process for each
 * role over TCP. Wire behaviour is what is examined, so nothing waits for the disk.
 */
import { join } from 'node:path'
import type { S3Client } from '@aws-sdk/client-s3'
import { startCluster } from '../../../src/harness/cluster.js'
import { removeFolder, temporaryFolder } from '../../../src/harness/folders.js'
import { connectS3 } from '../../../src/harness/s3.js'
import { type Server, startServer } from '../../../src/harness/server.js'

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
  const settings = { CAIRN_DURABILITY: 'none', ...env }
  const { server, stop } = await startRoles(folder, settings)
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

async function startRoles(
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly server: Server; stop(): Promise<unknown> }> {
  if (process.env.CAIRN_E2E_ROLES !== 'apart') {
    const server = await startServer({ dataDir: join(folder, 'data'), env })
    return { server, stop: () => server.stop() }
  }
  const cluster = await startCluster({ folder, env, chunkServers: 3, gateways: 1 })
  const server = cluster.gateways[0]
  if (server === undefined) throw new Error('the cluster has no gateway')
  return { server, stop: () => cluster.stop() }
}

let made = 0

/** A bucket name that no other test of the run uses. */
export function freshName(): string {
  made += 1
  return `bucket-${process.pid}-${made}`
}
