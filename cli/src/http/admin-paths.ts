/**
 * Paths below `/-/admin/v1/`: JSON for `cairn status` and `cairn fsck`. Every request is signed (SigV4, service s3)
 * by the root account, wherever it comes from.
 *
 *   GET    status                  the cluster, its drives and what repair does
 *   POST   check?deep=true         starts a check; 409 with its name while another runs
 *   GET    check?check=NAME        how it stands; the last one without a name
 *   DELETE check?check=NAME        ends it
 *   POST   restore/accept?incarnation=ID
 *   GET    nodes                   chunk servers with their drives
 *   POST   nodes?action=ACTION&node=NAME&by=NAME&force=true
 *                                  add (use now), drain, undrain, remove, or replace (`node` by `by`, 400 for others)
 *   GET    drives                  drives, and what moves
 *   POST   drives?action=ACTION&drive=ID&by=ID&force=true    the same
 *   GET    rebalance               how far groups are on their way
 *   POST   rebalance               spreads all groups evenly, over spares too
 *   GET    feature-level           the cluster's, and who supports which
 *   POST   feature-level           raises it as far as any member supports it
 *
 * What would lose data, or could never be done, is refused with 409 and the reason. A request that was received before
 * is refused with 403 and the code `RequestReplayed`: who means it twice in a second signs a header `x-cairn-nonce`
 * too.
 */
import type { AdminClient } from '@cairn/client'
import type { AccountGuard } from '@cairn/gateway'
import {
  CairnError,
  type Clock,
  type DriveAction,
  type DriveSummary,
  hasCode,
  type Member,
} from '@cairn/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ProvenSignature, SeenRequests } from './seen-requests.js'

/** Where the paths begin. */
export const ADMIN_PREFIX = '/-/admin/v1'

export interface AdminPaths {
  readonly admin: AdminClient
  /** Rejects unless the request is signed by an account. */
  readonly guard: AccountGuard
  /** Access key of the only account that may. */
  readonly accessKey: string
  readonly clock: Clock
}

type Query = Readonly<Record<string, string | undefined>>

interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly act: (query: Query) => Promise<unknown>
}

/** Registers the paths on a Fastify instance. */
export function registerAdminPaths(app: FastifyInstance, paths: AdminPaths): void {
  const { admin, guard, accessKey } = paths
  const seen = new SeenRequests(paths.clock)
  const answer =
    (act: (query: Query) => Promise<unknown>) =>
    async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const proven = await guard(request.raw)
      if (proven.principal.accessKey !== accessKey) {
        return reply.code(403).send({ message: 'for the root account' })
      }
      const refused = findReplay(seen, proven)
      if (refused !== undefined) return reply.code(refused.status).send(refused.body)
      const query = request.query as Record<string, string | string[]>
      const mistake = findMistake(query)
      if (mistake !== undefined) return reply.code(400).send({ message: mistake })
      try {
        return await act(query as Query)
      } catch (error) {
        return refuse(reply, error)
      }
    }
  for (const { method, path, act } of [...checkRoutes(admin), ...driveRoutes(admin)]) {
    app.route({ method, url: `${ADMIN_PREFIX}/${path}`, handler: answer(act) })
  }
}

function findMistake(query: Readonly<Record<string, string | string[]>>): string | undefined {
  if (Object.values(query).some((value) => typeof value !== 'string')) {
    return 'a parameter was sent more than once'
  }
  return query.by !== undefined && query.action !== 'replace' ? 'by: only to replace' : undefined
}

/** Why the request is not taken, if it was there before or cannot be remembered. */
function findReplay(
  seen: SeenRequests,
  proven: ProvenSignature,
): { status: 403 | 503; body: { code: string; message: string } } | undefined {
  try {
    seen.admit(proven)
    return undefined
  } catch (error) {
    if (hasCode(error, 'PreconditionFailed')) {
      return { status: 403, body: { code: 'RequestReplayed', message: error.message } }
    }
    if (hasCode(error, 'Busy')) return { status: 503, body: { code: 'SlowDown', message: error.message } }
    throw error
  }
}

function checkRoutes(admin: AdminClient): Route[] {
  const named = ({ check }: Query): { check?: string } => (check === undefined ? {} : { check })
  return [
    { method: 'GET', path: 'status', act: () => admin.status() },
    {
      method: 'POST',
      path: 'check',
      act: async ({ deep }) => ({ check: await admin.startCheck({ deep: deep === 'true' }) }),
    },
    { method: 'GET', path: 'check', act: (query) => admin.getCheck(named(query)) },
    { method: 'DELETE', path: 'check', act: (query) => admin.getCheck({ ...named(query), cancel: true }) },
    {
      method: 'POST',
      path: 'restore/accept',
      act: async ({ incarnation = '' }) => {
        await admin.acceptRestore(incarnation)
        return { accepted: incarnation }
      },
    },
  ]
}

function driveRoutes(admin: AdminClient): Route[] {
  return [
    {
      method: 'GET',
      path: 'nodes',
      act: async () => {
        const { members, drives, moves } = await admin.status()
        return { nodes: nodesOf(members, drives), moves }
      },
    },
    {
      method: 'POST',
      path: 'nodes',
      act: ({ action, node = '', by, force }) => wish(admin, action, { servers: named(node, by), force }),
    },
    {
      method: 'GET',
      path: 'drives',
      act: async () => {
        const { drives, moves } = await admin.status()
        return { drives, moves }
      },
    },
    {
      method: 'POST',
      path: 'drives',
      act: ({ action, drive = '', by, force }) => wish(admin, action, { drives: named(drive, by), force }),
    },
    { method: 'GET', path: 'rebalance', act: async () => (await admin.status()).moves ?? {} },
    { method: 'POST', path: 'rebalance', act: () => wish(admin, 'rebalance', {}) },
    { method: 'GET', path: 'feature-level', act: () => admin.featureLevel() },
    { method: 'POST', path: 'feature-level', act: () => admin.raiseFeatureLevel() },
  ]
}

function named(name: string, by: string | undefined): string[] {
  return by === undefined ? [name] : [name, by]
}

const ACTIONS: readonly DriveAction[] = ['add', 'drain', 'undrain', 'replace', 'remove', 'rebalance']

async function wish(
  admin: AdminClient,
  name: string | undefined,
  { drives = [], servers = [], force }: { drives?: string[]; servers?: string[]; force?: string | undefined },
): Promise<unknown> {
  const action = ACTIONS.find((each) => each === name)
  if (action === undefined) throw new CairnError('InvalidArgument', `action: one of ${ACTIONS.join(', ')}`)
  await admin.changeDrives({ action, drives, servers, force: force === 'true' })
  return { action, drives, nodes: servers }
}

/** Each chunk server with its drives. */
export interface NodeSummary extends Member {
  readonly drives: readonly DriveSummary[]
}

function nodesOf(members: readonly Member[], drives: readonly DriveSummary[]): NodeSummary[] {
  return members.map((member) => ({
    ...member,
    drives: drives.filter(({ server }) => server === member.id),
  }))
}

function refuse(reply: FastifyReply, error: unknown): FastifyReply {
  const message = error instanceof Error ? error.message : String(error)
  if (hasCode(error, 'Busy', 'PreconditionFailed')) return reply.code(409).send({ message, ...error.details })
  if (hasCode(error, 'InvalidArgument')) return reply.code(404).send({ message })
  return reply.code(503).send({ message })
}
