import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Config, readConfig } from '../../src/config.js'

const CREDENTIALS = { CAIRN_ROOT_ACCESS_KEY: 'key', CAIRN_ROOT_SECRET_KEY: 'a secret of some length' }

/**
 * What `run` resolves with when a server answers every request like this, or one request after the other, the last for
 * good, or by what it is asked for; what it was asked for is added to `asked`. An answer with an `httpStatus` has that one.
 */
export async function withAdminServer<T>(
  answer: object | readonly object[] | ((request: string) => object),
  run: (config: Config) => Promise<T>,
  asked: string[] = [],
): Promise<T> {
  const answers = typeof answer === 'function' ? [] : [answer].flat()
  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url?.replace(/^.*\/v1\//, '')}`
    asked.push(line)
    const next =
      typeof answer === 'function' ? answer(line) : answers.length > 1 ? answers.shift() : answers[0]
    response.statusCode = (next as { httpStatus?: number }).httpStatus ?? 200
    response.end(JSON.stringify(next))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  try {
    return await run(readConfig({ argv: [], env: { ...CREDENTIALS, CAIRN_PORT: String(port) } }).config)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
