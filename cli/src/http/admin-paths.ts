/**
 * Paths below `/-/admin/v1/`: JSON for `cairn status` and `cairn fsck`. Every request is signed (SigV4, service s3)
 * by the root account, wherever it comes from.
 *
 *   GET    status                  the cluster, its drives and what repair does
 *   POST   check?deep=true         starts a check; 409 with its name while another runs
 *   GET    check?check=NAME        how it stands; the last one without a name
 *   DELETE check?check=NAME        ends it
 *   POST   restore/accept?incarnation=ID
 */
import type { AdminClient } from '@cairn/client'
import type { AccountGuard } from '@cairn/gateway'
import { hasCode } from '@cairn/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Where the paths begin. */
export const ADMIN_PREFIX = '/-/admin/v1'

export interface AdminPaths {
  readonly admin: AdminClient
  /** Rejects unless the request is signed by an account. */
  readonly guard: AccountGuard
  /** Access key of the only account that may. */
  readonly accessKey: string
}

type Query = Readonly<Record<string, string | undefined>>

/** Registers the paths on a Fastify instance. */
export function registerAdminPaths(app: FastifyInstance, { admin, guard, accessKey }: AdminPaths): void {
  const answer =
    (act: (query: Query) => Promise<unknown>) =>
    async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const principal = await guard(request.raw)
      if (principal.accessKey !== accessKey) return reply.code(403).send({ message: 'for the root account' })
      const query = request.query as Record<string, string | string[]>
      if (Object.values(query).some((value) => typeof value !== 'string')) {
        return reply.code(400).send({ message: 'a parameter was sent more than once' })
      }
      try {
        return await act(query as Query)
      } catch (error) {
        return refuse(reply, error)
      }
    }
  const named = ({ check }: Query): { check?: string } => (check === undefined ? {} : { check })
  app.get(
    `${ADMIN_PREFIX}/status`,
    answer(() => admin.status()),
  )
  app.post(
    `${ADMIN_PREFIX}/check`,
    answer(async ({ deep }) => ({ check: await admin.startCheck({ deep: deep === 'true' }) })),
  )
  app.get(
    `${ADMIN_PREFIX}/check`,
    answer((query) => admin.getCheck(named(query))),
  )
  app.delete(
    `${ADMIN_PREFIX}/check`,
    answer((query) => admin.getCheck({ ...named(query), cancel: true })),
  )
  app.post(
    `${ADMIN_PREFIX}/restore/accept`,
    answer(async ({ incarnation = '' }) => {
      await admin.acceptRestore(incarnation)
      return { accepted: incarnation }
    }),
  )
}

function refuse(reply: FastifyReply, error: unknown): FastifyReply {
  const message = error instanceof Error ? error.message : String(error)
  if (hasCode(error, 'Busy')) return reply.code(409).send({ message, ...error.details })
  if (hasCode(error, 'InvalidArgument')) return reply.code(404).send({ message })
  return reply.code(503).send({ message })
}
