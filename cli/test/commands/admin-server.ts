import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Config, readConfig } from '../../src/config.js'

const CREDENTIALS = { CAIRN_ROOT_ACCESS_KEY: 'key', CAIRN_ROOT_SECRET_KEY: 'a secret of some length' }

/**
 * What `run` resolves with when a server answers every request like this, or one request after the other, the last for
 * good; what it was asked for is added to `asked`.
 */
export async function withAdminServer<T>(
  answer: object | readonly object[],
  run: (config: Config) => Promise<T>,
  asked: string[] = [],
): Promise<T> {
  const answers = [answer].flat()
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.replace(/^.*\/v1\//, '')}`)
    response.end(JSON.stringify(answers.length > 1 ? answers.shift() : answers[0]))
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
