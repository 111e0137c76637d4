/** What the command signs is what others would sign, and what the gateway takes. */
import { createRequire } from 'node:module'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { authenticate } from '../../src/authentication/authenticate.js'
import { signRequest } from '../../src/authentication/sign-request.js'
import { EXAMPLE, rawRequest, settings } from './raw-request.js'

interface Aws4 {
  sign(request: object, credentials: object): { headers: Record<string, string> }
}
const aws4 = createRequire(import.meta.url)('aws4') as Aws4

const NOW_MS = Date.UTC(2026, 1, 3, 4, 5, 6)
const LETTERS = ['a', 'Z', '0', '-', '/', '~', ' ', '+', '%', '=', '&', 'é', '中']

describe('signRequest', () => {
  const credentials = { accessKey: EXAMPLE.accessKey, secretKey: EXAMPLE.secretKey }

  function sign(url: URL, headers: Record<string, string> = {}): Record<string, string> {
    return signRequest({ method: 'POST', url, region: 'us-east-1', credentials, nowMs: NOW_MS, headers })
  }

  it('signs as another signer does, and as the gateway takes it', async () => {
    const random = createSeededRandom(11)
    const text = (): string =>
      Array.from({ length: 6 }, () => LETTERS[Math.floor(random.fraction() * LETTERS.length)]).join('')
    for (let round = 0; round < 200; round++) {
      const url = new URL('http://localhost:9000/-/admin/v1/drives')
      for (let at = 0; at < 3; at++) url.searchParams.append(`name${text()}`, text())
      const headers = sign(url, {
        'x-cairn-nonce': text()
          .trim()
          .replace(/[^ -~]/g, ''),
      })
      const { authorization, ...unsigned } = headers
      const path = `${url.pathname}${url.search}`
      const other = aws4.sign(
        {
          method: 'POST',
          host: url.host,
          path,
          service: 's3',
          region: 'us-east-1',
          headers: { ...unsigned },
        },
        { accessKeyId: credentials.accessKey, secretAccessKey: credentials.secretKey },
      )
      expect(authorization, path).to.equal(other.headers.Authorization)
      const request = rawRequest({ method: 'POST', target: path, headers: Object.entries(headers) })
      const { principal } = await authenticate(request, settings(), NOW_MS)
      expect(principal.kind).to.equal('account')
    }
  })

  it('signs another signature with another header', () => {
    const url = new URL('http://localhost:9000/-/admin/v1/status')
    expect(sign(url, { 'x-cairn-nonce': '1' }).authorization).not.to.equal(
      sign(url, { 'x-cairn-nonce': '2' }).authorization,
    )
  })
})
