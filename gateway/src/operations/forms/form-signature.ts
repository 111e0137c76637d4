/**
 * Who has signed a form: SigV4 over its policy, or SigV2 where a switch allows it. The fields say who claims to be it;
 * nothing else counts.
 */
import { timingSafeEqual } from 'node:crypto'
import { type AuthenticationSettings, checkSession } from '../../authentication/authenticate.js'
import { ANONYMOUS, type Principal } from '../../authentication/principal.js'
import { readCredential, readDate } from '../../authentication/signature-claim.js'
import { hasSignedVersion2 } from '../../authentication/signature-version-2.js'
import { type SigningKeys, sign } from '../../authentication/signing-keys.js'
import { S3Error } from '../../errors.js'
import { CLOCK_SKEW_MS, FORM_AGE_MS_MAX } from '../../limits.js'
import type { Credential } from '../../ports.js'

const ALGORITHM = 'AWS4-HMAC-SHA256'
const MALFORMED = 'AuthorizationQueryParametersError'
/** Signs for access keys that nobody has, so that an unknown key takes as long as a wrong secret. */
const DUMMY_SECRET = 'no-such-access-key'

type Fields = ReadonlyMap<string, string>

interface FormClaim {
  readonly accessKey: string
  /** Absent with SigV2. */
  readonly scope: { readonly day: string; readonly region: string; readonly service: string } | undefined
  readonly signature: string
  readonly policy: string
  readonly sessionToken: string | undefined
}

/** Anonymous without policy and signature. Throws `S3Error` unless the signature is right and in scope. */
export async function authenticateForm(
  fields: Fields,
  settings: Pick<AuthenticationSettings, 'credentials' | 'keys' | 'region' | 'signatureVersion2'>,
  nowMs: number,
): Promise<Principal> {
  const isOld = fields.has('awsaccesskeyid') || fields.has('signature')
  if (isOld && settings.signatureVersion2 !== true) throw version2Refused()
  const claim = isOld ? readVersion2Claim(fields) : readClaim(fields, settings.region, nowMs)
  if (claim === undefined) return ANONYMOUS
  const credential = await settings.credentials.find(claim.accessKey)
  const matches = hasSigned(claim, credential, settings.keys)
  if (credential === undefined) {
    throw new S3Error('InvalidAccessKeyId', undefined, { elements: { AWSAccessKeyId: claim.accessKey } })
  }
  if (!matches) throw mismatch(claim)
  checkSession(claim.sessionToken, credential, nowMs)
  return { kind: 'account', accessKey: claim.accessKey, account: credential.account }
}

function hasSigned(
  { accessKey, scope, policy, signature }: FormClaim,
  credential: Credential | undefined,
  keys: SigningKeys,
): boolean {
  const secretKey = credential?.secretKey ?? DUMMY_SECRET
  if (scope === undefined) return hasSignedVersion2(secretKey, policy, signature)
  const key = keys.get(credential === undefined ? '' : accessKey, secretKey, scope)
  return timingSafeEqual(sign(key, policy), Buffer.from(signature, 'hex'))
}

function version2Refused(): S3Error {
  return new S3Error(
    'InvalidRequest',
    `Forms signed with SigV2 (AWSAccessKeyId, signature) are not supported. Please use ${ALGORITHM}.`,
  )
}

/** Says nothing of when it was signed: the policy alone says how long it is good for. */
function readVersion2Claim(fields: Fields): FormClaim {
  if (fields.has('x-amz-signature')) {
    throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed.')
  }
  return {
    accessKey: getField(fields, 'awsaccesskeyid'),
    scope: undefined,
    signature: getField(fields, 'signature'),
    policy: getField(fields, 'policy'),
    sessionToken: fields.get('x-amz-security-token'),
  }
}

function getField(fields: Fields, name: string): string {
  const value = fields.get(name)
  if (value !== undefined && value !== '') return value
  throw missingField(name)
}

function readClaim(fields: Fields, region: string, nowMs: number): FormClaim | undefined {
  const signed = ['x-amz-signature', 'x-amz-algorithm', 'x-amz-credential', 'x-amz-date']
  if (!fields.has('policy') && !signed.some((name) => fields.has(name))) return undefined
  const get = (name: string): string => getField(fields, name)
  const policy = get('policy')
  const signature = get('x-amz-signature')
  if (get('x-amz-algorithm') !== ALGORITHM) {
    throw new S3Error(MALFORMED, `x-amz-algorithm only supports "${ALGORITHM}"`)
  }
  const { accessKey, ...scope } = readCredential(get('x-amz-credential'), MALFORMED)
  const { date, dateMs } = readDate(get('x-amz-date'), MALFORMED)
  checkScope(scope, region, date)
  checkTime(dateMs, nowMs)
  if (!/^[0-9a-f]{64}$/.test(signature)) throw new S3Error('SignatureDoesNotMatch')
  return { accessKey, scope, signature, policy, sessionToken: fields.get('x-amz-security-token') }
}

/** The refusal of a form that lacks a field. */
export function missingField(name: string): S3Error {
  return new S3Error(
    'InvalidArgument',
    `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
    { elements: { ArgumentName: name, ArgumentValue: '' } },
  )
}

function checkScope(scope: NonNullable<FormClaim['scope']>, region: string, date: string): void {
  if (scope.region !== region) {
    throw new S3Error(
      MALFORMED,
      `Error parsing the x-amz-credential field; the region '${scope.region}' is wrong; expecting '${region}'`,
      { elements: { Region: region } },
    )
  }
  if (scope.service !== 's3') {
    throw new S3Error(
      MALFORMED,
      `Error parsing the x-amz-credential field; incorrect service "${scope.service}".`,
    )
  }
  if (scope.day !== date.slice(0, 8)) {
    throw new S3Error(MALFORMED, 'The date of the credential scope is not the date of the form.')
  }
}

/** The policy says when a form ends; a signature lives a week at most, as that of a URL does. */
function checkTime(dateMs: number, nowMs: number): void {
  if (dateMs - nowMs > CLOCK_SKEW_MS) throw new S3Error('AccessDenied', 'Request is not yet valid')
  if (nowMs - dateMs > FORM_AGE_MS_MAX) throw new S3Error('AccessDenied', 'Request has expired')
}

function mismatch({ accessKey, policy, signature }: FormClaim): S3Error {
  return new S3Error('SignatureDoesNotMatch', undefined, {
    elements: { AWSAccessKeyId: accessKey, StringToSign: policy, SignatureProvided: signature },
  })
}
