/** Fastify without its JSON schema compilers: no route of ours has a schema, and they take a twentieth of a start. */
import type { FastifyServerOptions } from 'fastify'

function refuse(): never {
  throw new Error('a route has a JSON schema, which nothing compiles')
}

/** For `fastify()`; a route with a schema fails at its registration. */
export const WITHOUT_SCHEMAS: Pick<FastifyServerOptions, 'schemaController'> = {
  schemaController: { compilersFactory: { buildValidator: refuse, buildSerializer: refuse } },
}
