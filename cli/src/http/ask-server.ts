/** Requests of the command to its own server, over HTTP or HTTPS as the settings say. */
import { type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Config } from '../config.js'
import { endpointOf, schemeOf } from '../endpoint.js'
import { readTlsFiles } from '../tls-files.js'

export interface ServerAnswer {
  readonly status: number
  readonly text: string
}

export interface AskOptions {
  readonly timeoutMs: number
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * One request to the configured host and port. The server may be known under other names than this one and by an
 * authority that nobody here trusts: what proves it is the very certificate that the settings name.
 * Rejects if nobody answers in time, or somebody else does.
 */
export function askServer(config: Config, path: string, options: AskOptions): Promise<ServerAnswer> {
  const url = `${endpointOf(config.host, config.port, schemeOf(config))}${path}`
  return new Promise((resolve, reject) => {
    const settings: RequestOptions = {
      agent: false,
      method: options.method ?? 'GET',
      headers: { ...options.headers },
      signal: AbortSignal.timeout(options.timeoutMs),
    }
    const take = (response: IncomingMessage): void => {
      readAnswer(response).then(resolve, reject)
    }
    const request =
      schemeOf(config) === 'http'
        ? requestPlain(url, settings, take)
        : requestSecure(url, { ...settings, rejectUnauthorized: false }, take)
    request.on('socket', (socket) => {
      if (schemeOf(config) === 'http') return
      socket.once('secureConnect', () => {
        if (!isOurs(socket as TLSSocket, config)) request.destroy(new Error('another certificate answers'))
      })
    })
    request.on('error', reject)
    request.end()
  })
}

async function readAnswer(response: IncomingMessage): Promise<ServerAnswer> {
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return { status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }
}

function isOurs(socket: TLSSocket, { tlsCert, tlsKey }: Config): boolean {
  if (tlsCert === undefined || tlsKey === undefined) return false
  const { leaf } = readTlsFiles({ tlsCert, tlsKey })
  return leaf !== undefined && socket.getPeerX509Certificate()?.fingerprint256 === leaf.fingerprint256
}
