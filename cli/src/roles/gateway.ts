/** `cairn start --role gateway`: the S3 listener alone, on metadata and chunk servers elsewhere. */
import { connectCairn, createDigestThreads } from '@cairn/client'
import { makeFolder, writePidFile } from '../data-folder.js'
import { addClientMetrics } from './client-metrics.js'
import { logReplicaDamage } from './damage-log.js'
import {
  type Closers,
  identityOf,
  openOrClose,
  type RoleEnvironment,
  type RunningRole,
} from './environment.js'
import { gatewayLines, listenGateway } from './gateway-listener.js'
import { joined } from './joining.js'
import { recentBytes } from './recent-bytes.js'
import { clusterSecretOf, hostNameOf } from './service-address.js'
import { openServiceDirectory } from './service-directory.js'

/** Starts the gateway; resolves once it has a session and the cluster map. */
export async function startGatewayRole(environment: RoleEnvironment): Promise<RunningRole> {
  const { opened, close } = await openOrClose((closers) => open(environment, closers))
  return { lines: opened, close }
}

async function open(environment: RoleEnvironment, closers: Closers): Promise<readonly string[]> {
  const { config, clock, log, metrics } = environment
  makeFolder(config.dataDir)
  closers.add(writePidFile(config.dataDir, 'gateway'))
  const join = async () => {
    const metadata = await openServiceDirectory(environment)
    return connectCairn({
      ...environment,
      lanes: createDigestThreads(),
      recentBytes: recentBytes(),
      metadata,
      identity: identityOf(
        'gateway',
        `gateway-${hostNameOf(config)}:${config.port}`,
        clusterSecretOf(config),
      ),
      onDamage: logReplicaDamage(log),
    })
  }
  const client = await joined(clock, join)
  closers.add(() => client.close())
  addClientMetrics(metrics, client)
  const listener = await listenGateway(environment, { client, findTrouble: () => client.findTrouble() })
  closers.add(() => listener.close())
  return gatewayLines(listener)
}
