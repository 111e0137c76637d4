/** Paths of Cairn's own below `/-/`: liveness, readiness, metrics, and what a service without a gateway knows. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Metrics } from '../metrics.js'

export interface OwnPaths {
  readonly metrics: Metrics
  /** Lets callers from other hosts read the metrics. */
  readonly metricsToken: string | undefined
  /** The configured host, which is also a name of ours. */
  readonly host: string
  /** Why a write or a read would fail now; `undefined` if both would work. */
  readonly findTrouble: () => Promise<string | undefined>
  /** What the process knows of itself and of the others, as JSON; absent at a gateway, which has the admin API. */
  readonly inspect?: () => object
}

/** Registers the paths on a Fastify instance. */
export function registerOwnPaths(app: FastifyInstance, paths: OwnPaths): void {
  app.get('/-/health/live', () => ({ live: true }))
  app.get('/-/health/ready', async (_request, reply) => {
    const trouble = await paths.findTrouble()
    if (trouble === undefined) return { ready: true }
    return reply.code(503).send({ ready: false, trouble })
  })
  app.get('/-/metrics', async (request, reply) => {
    if (!mayRead(request, paths)) return refuse(reply)
    return reply.header('content-type', paths.metrics.contentType).send(await paths.metrics.render())
  })
  const { inspect } = paths
  if (inspect === undefined) return
  app.get('/-/inspect', (request, reply) => (mayRead(request, paths) ? inspect() : refuse(reply)))
}

/** A proxy on this host brings others in: what it has forwarded is not from this host. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'] as const

function mayRead(
  request: FastifyRequest,
  { metricsToken, host }: Pick<OwnPaths, 'metricsToken' | 'host'>,
): boolean {
  const forwarded = FORWARDED.some((name) => request.headers[name] !== undefined)
  const isLocal = isLoopback(request.socket.remoteAddress ?? '') && isOwnName(request.hostname, host)
  if (!forwarded && isLocal) return true
  return (
    metricsToken !== undefined && sameSecret(request.headers.authorization ?? '', `Bearer ${metricsToken}`)
  )
}

/**
 * A page in a browser on this host can have its own name lead here (DNS rebinding), and would read the answer as its
 * own. Nobody else's name is an address, or `localhost`.
 */
function isOwnName(name: string, configured: string): boolean {
  const bare = name.replace(/^\[|\]$/g, '').toLowerCase()
  return isIP(bare) !== 0 || bare === 'localhost' || bare === configured.toLowerCase()
}

function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

/** True for 127.0.0.0/8, ::1 and 127.0.0.0/8 mapped into IPv6. */
function isLoopback(address: string): boolean {
  const bare = address.replace(/^::ffff:/, '')
  return address === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))
}

function refuse(reply: FastifyReply): FastifyReply {
  return reply.code(403).send({ message: 'for this host, or for holders of CAIRN_METRICS_TOKEN' })
}
