/** What every role needs of the process: clock, randomness, network, log, metrics. */
import {
  type Clock,
  createNetwork,
  FEATURE_LEVEL,
  type HandshakeIdentity,
  type Network,
  type Random,
  systemClock,
  systemRandom,
} from '@cairn/protocol'
import type { Config } from '../config.js'
import type { Logger } from '../log.js'
import { createMetrics, type Metrics } from '../metrics.js'
import { CertificateEnds } from './certificate-ends.js'
import { openClusterTls } from './cluster-tls.js'

export interface RoleEnvironment {
  readonly config: Config
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  readonly log: Logger
  readonly metrics: Metrics
  readonly certificates: CertificateEnds
}

/** A running role. */
export interface RunningRole {
  /** Lines for stdout once it is ready. */
  readonly lines: readonly string[]
  /** Drains and closes; idempotent. */
  close(): Promise<void>
}

/** `ConfigError` if the certificates for the cluster cannot be used. */
export function createEnvironment(config: Config, log: Logger): RoleEnvironment {
  const metrics = createMetrics()
  const certificates = new CertificateEnds(systemClock, log)
  certificates.addTo(metrics)
  const tls = openClusterTls({ config, clock: systemClock, log, certificates })
  const network = createNetwork({
    ...(tls === undefined ? {} : { tls }),
    clock: systemClock,
    random: systemRandom,
    onError: (error, where) => log.error({ err: error, where }, 'call failed'),
  })
  return { config, clock: systemClock, random: systemRandom, network, log, metrics, certificates }
}

/** The identity a role shows its peers. */
export function identityOf(
  role: string,
  name: string,
  cluster: { clusterId: string; clusterSecret: string },
): HandshakeIdentity {
  return {
    role,
    name,
    clusterId: cluster.clusterId,
    featureLevel: FEATURE_LEVEL,
    clusterSecret: Buffer.from(cluster.clusterSecret),
  }
}

/** Closes in reverse order of opening, each once, however far the opening came. */
export class Closers {
  private readonly pending: (() => Promise<void> | void)[] = []
  private closing: Promise<void> | undefined

  /** What is opened while all is closed is closed at once. */
  add(close: () => Promise<void> | void): void {
    if (this.closing === undefined) this.pending.push(close)
    else void close()
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  /** One that fails keeps none of the others open; the first error is thrown at the end. */
  private async closeAll(): Promise<void> {
    const errors: unknown[] = []
    for (const close of this.pending.reverse()) {
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }
}

/** What was opened, and the one way to close it. */
export interface Opened<T> {
  readonly opened: T
  close(): Promise<void>
}

/** Runs `open`; if it fails, what it had opened so far is closed again, and its error is the one that is told. */
export async function openOrClose<T>(open: (closers: Closers) => Promise<T>): Promise<Opened<T>> {
  const closers = new Closers()
  try {
    return { opened: await open(closers), close: () => closers.close() }
  } catch (error) {
    await closers.close().catch(() => undefined)
    throw error
  }
}
