/** An authority of our own and certificates it has signed, made by openssl. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runOk } from './run.js'

export interface Authority {
  /** PEM of the authority's certificate, for clients to trust. */
  readonly caFile: string
  /** Signs a certificate for this machine; paths of chain and key. */
  issue(name: string): Promise<{ readonly certFile: string; readonly keyFile: string }>
}

/** Makes the authority in a folder. */
export async function makeAuthority(folder: string): Promise<Authority> {
  const path = (file: string): string => join(folder, file)
  const openssl = (...args: string[]) => runOk('openssl', args, { cwd: folder })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=ca',
  )
  await writeFile(path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  return {
    caFile: path('ca.pem'),
    async issue(name) {
      const [key, request, cert] = [`${name}.key`, `${name}.csr`, `${name}.pem`]
      await openssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${name}`)
      const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
      await openssl(
        'x509',
        '-req',
        '-in',
        request,
        ...authority,
        '-days',
        '2',
        '-extfile',
        'names',
        '-out',
        cert,
      )
      return { certFile: path(cert), keyFile: path(key) }
    },
  }
}
