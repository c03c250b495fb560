(* Groups of rollouts, their expectations, and the master theorem at every group size.

   A prompt has finitely many trajectories b with probabilities pi b, outcomes f b (true: correct), and a score s b,
   one component of grad log pi b. Nothing else is assumed of the policy: sum pi = 1 and sum pi s = 0. A group is a
   list of draws. An estimator is any table a (correct?) K of advantages, K being the number of correct rollouts. *)

Require Import Reals List Lra Lia.
Import ListNotations.
Open Scope R_scope.

Section Policy.

Variable B : Type.
Variable all : list B.
Variable pi : B -> R.
Variable f : B -> bool.

Definition Sum (x : B -> R) : R := fold_right (fun b t => x b + t) 0 all.

Hypothesis pi_one : Sum pi = 1.

Definition one (b : B) : R := if f b then 1 else 0.
Definition P : R := Sum (fun b => pi b * one b).
Definition Q : R := 1 - P.

Lemma Sum_ext x y : (forall b, x b = y b) -> Sum x = Sum y.
Proof. intros E. unfold Sum. induction all as [|b l IH]; simpl; [reflexivity | now rewrite E, IH]. Qed.

Lemma Sum_plus x y : Sum (fun b => x b + y b) = Sum x + Sum y.
Proof. unfold Sum. induction all as [|b l IH]; simpl; [lra | rewrite IH; lra]. Qed.

Lemma Sum_scale c x : Sum (fun b => c * x b) = c * Sum x.
Proof. unfold Sum. induction all as [|b l IH]; simpl; [lra | rewrite IH; lra]. Qed.

Lemma Sum_scale_r c x : Sum (fun b => x b * c) = Sum x * c.
Proof. rewrite (Sum_ext _ (fun b => c * x b)) by (intros; ring). rewrite Sum_scale. ring. Qed.

Lemma Sum_swap (x : B -> B -> R) : Sum (fun b => Sum (fun c => x b c)) = Sum (fun c => Sum (fun b => x b c)).
Proof.
  assert (H : forall l, fold_right (fun b t => Sum (fun c => x b c) + t) 0 l
                 = Sum (fun c => fold_right (fun b t => x b c + t) 0 l)).
  { induction l as [|b l IH]; simpl.
    - rewrite (Sum_ext _ (fun b => 0 * pi b)) by (intros; ring). rewrite Sum_scale. ring.
    - rewrite IH, <- Sum_plus. apply Sum_ext. reflexivity. }
  exact (H all).
Qed.

(* Expectation over the groups of n draws, and the number of correct rollouts of a group. *)
Fixpoint E (n : nat) (phi : list B -> R) : R :=
  match n with
  | O => phi []
  | S m => Sum (fun b => pi b * E m (fun w => phi (b :: w)))
  end.

Definition hit (b : B) : nat := if f b then 1%nat else 0%nat.
Fixpoint correct (w : list B) : nat := match w with [] => 0%nat | b :: v => (hit b + correct v)%nat end.

Lemma E_ext n : forall x y, (forall w, x w = y w) -> E n x = E n y.
Proof.
  induction n as [|n IH]; intros x y H; simpl; [apply H |].
  apply Sum_ext. intros b. now rewrite (IH _ (fun w => y (b :: w))).
Qed.

Lemma E_plus n : forall x y, E n (fun w => x w + y w) = E n x + E n y.
Proof.
  induction n as [|n IH]; intros x y; simpl; [reflexivity |].
  rewrite <- Sum_plus. apply Sum_ext. intros b. rewrite IH. ring.
Qed.

Lemma E_scale n : forall c x, E n (fun w => c * x w) = c * E n x.
Proof.
  induction n as [|n IH]; intros c x; simpl; [reflexivity |].
  rewrite <- Sum_scale. apply Sum_ext. intros b. rewrite IH. ring.
Qed.

Lemma E_const n c : E n (fun _ => c) = c.
Proof.
  induction n as [|n IH]; simpl; [reflexivity |].
  rewrite (Sum_ext _ (fun b => c * pi b)) by (intros; rewrite IH; ring). rewrite Sum_scale, pi_one. ring.
Qed.

(* The sum over the rollouts of a group of something that may depend on K. *)
Fixpoint over (psi : B -> R) (w : list B) : R := match w with [] => 0 | b :: v => psi b + over psi v end.

Lemma over_ext x y : (forall b, x b = y b) -> forall w, over x w = over y w.
Proof. intros H; induction w as [|b w IH]; simpl; [reflexivity | now rewrite H, IH]. Qed.

(* Every rollout of a group is as good as the first: what one draw sees is the K of the other n. *)
Lemma exchange : forall n (psi : B -> nat -> R),
  E (S n) (fun w => over (fun o => psi o (correct w)) w)
  = INR (S n) * Sum (fun b => pi b * E n (fun w => psi b (hit b + correct w)%nat)).
Proof.
  induction n as [|n IH]; intros psi.
  - simpl. rewrite Rmult_1_l. apply Sum_ext. intros b. ring.
  - change (E (S (S n)) (fun w => over (fun o => psi o (correct w)) w))
      with (Sum (fun b => pi b * E (S n) (fun w => psi b (hit b + correct w)%nat
                                            + over (fun o => psi o (hit b + correct w)%nat) w))).
    rewrite (Sum_ext _ (fun b => pi b * E (S n) (fun w => psi b (hit b + correct w)%nat)
        + INR (S n) * Sum (fun c => pi c * (pi b * E n (fun w => psi c (hit c + (hit b + correct w))%nat))))).
    + rewrite Sum_plus, Sum_scale, Sum_swap.
      rewrite (Sum_ext (fun c => Sum (fun b => pi c * (pi b * E n (fun w => psi c (hit c + (hit b + correct w))%nat))))
                       (fun c => pi c * E (S n) (fun w => psi c (hit c + correct w)%nat))).
      * rewrite (S_INR (S n)). ring.
      * intros c. rewrite Sum_scale. reflexivity.
    + intros b. rewrite E_plus. rewrite (IH (fun o k => psi o (hit b + k)%nat)).
      rewrite Rmult_plus_distr_l. f_equal.
      rewrite <- Sum_scale. rewrite <- Sum_scale.
      rewrite <- Sum_scale. apply Sum_ext. intros c.
      rewrite (E_ext n (fun w => psi c (hit b + (hit c + correct w))%nat)
                       (fun w => psi c (hit c + (hit b + correct w))%nat)).
      * ring.
      * intros w. f_equal. lia.
Qed.

(* The master theorem. *)

Variable s : B -> R.
Hypothesis score : Sum (fun b => pi b * s b) = 0.

(* One component of grad P = sum_b f_b grad pi_b. *)
Definition grad_P : R := Sum (fun b => pi b * s b * one b).

(* The gradient of a group: sum_i A_i grad log pi(o_i), for the table a. *)
Definition gradient (a : bool -> nat -> R) (w : list B) : R := over (fun o => a (f o) (correct w) * s o) w.

(* F'_G, G = n + 1: the mean marginal value of a success, over the other n rollouts. *)
Definition slope (n : nat) (a : bool -> nat -> R) : R := E n (fun w => a true (S (correct w)) - a false (correct w)).

Theorem master : forall n a, E (S n) (gradient a) = INR (S n) * slope n a * grad_P.
Proof.
  intros n a. unfold gradient. rewrite (exchange n (fun o k => a (f o) k * s o)). rewrite Rmult_assoc. f_equal.
  set (U := E n (fun w => a true (S (correct w)))). set (V := E n (fun w => a false (correct w))).
  assert (HS : slope n a = U - V).
  { unfold slope, U, V. rewrite (E_ext n _ (fun w => a true (S (correct w)) + (-1) * a false (correct w))).
    - rewrite E_plus, E_scale. ring.
    - intros; ring. }
  rewrite HS.
  rewrite (Sum_ext _ (fun b => (U - V) * (pi b * s b * one b) + V * (pi b * s b))).
  - rewrite Sum_plus, Sum_scale, Sum_scale, score. unfold grad_P. ring.
  - intros b. unfold one, hit. destruct (f b).
    + rewrite (E_ext n _ (fun w => s b * a true (S (correct w)))) by (intros; simpl; ring).
      rewrite E_scale. fold U. ring.
    + rewrite (E_ext n _ (fun w => s b * a false (correct w))) by (intros; simpl; ring).
      rewrite E_scale. fold V. ring.
Qed.

(* Where omega holds the group's own rewards, A depends on K once more, and that is again a table: only F' changes. *)
Corollary coupled_omega : forall n (A : bool -> nat -> R -> R) (omega : nat -> R),
  E (S n) (gradient (fun ok k => A ok k (omega k)))
  = INR (S n) * slope n (fun ok k => A ok k (omega k)) * grad_P.
Proof. intros. apply master. Qed.

(* One orbit's direction: with positive weights two estimators have expected updates that differ by a positive factor. *)
Corollary one_direction : forall n a a', slope n a > 0 -> slope n a' > 0 ->
  exists c, c > 0 /\ E (S n) (gradient a) = c * E (S n) (gradient a').
Proof.
  intros n a a' Ha Ha'. exists (slope n a / slope n a'). split.
  - now apply Rdiv_lt_0_compat.
  - rewrite (master n a), (master n a'). field. lra.
Qed.

(* K is binomial: F'_G is a Bernstein polynomial. *)

Lemma split_first n (h : nat -> R) :
  E (S n) (fun w => h (correct w)) = P * E n (fun w => h (S (correct w))) + Q * E n (fun w => h (correct w)).
Proof.
  simpl. unfold Q, P.
  rewrite (Sum_ext _ (fun b => pi b * one b * E n (fun w => h (S (correct w)))
                             + (pi b + (-1) * (pi b * one b)) * E n (fun w => h (correct w)))).
  - rewrite Sum_plus, Sum_scale_r, Sum_scale_r, Sum_plus, Sum_scale, pi_one. ring.
  - intros b. unfold one, hit. destruct (f b); simpl; ring.
Qed.

Lemma C_n_0 n : C n 0 = 1.
Proof. unfold C. rewrite Nat.sub_0_r. simpl. field. apply INR_fact_neq_0. Qed.

Lemma C_n_n n : C n n = 1.
Proof. unfold C. rewrite Nat.sub_diag. simpl. field. apply INR_fact_neq_0. Qed.

Theorem bernstein : forall n (h : nat -> R),
  E n (fun w => h (correct w)) = sum_f_R0 (fun j => C n j * P ^ j * Q ^ (n - j) * h j) n.
Proof.
  induction n as [|n IH]; intros h.
  - simpl. rewrite C_n_0. ring.
  - rewrite split_first, (IH (fun k => h (S k))), (IH h).
    destruct n as [|n].
    + simpl. rewrite !C_n_0, C_n_n. ring.
    + rewrite (decomp_sum (fun j => C (S (S n)) j * P ^ j * Q ^ (S (S n) - j) * h j)) by lia.
      change (pred (S (S n))) with (S n).
      rewrite (tech5 (fun i => C (S (S n)) (S i) * P ^ S i * Q ^ (S (S n) - S i) * h (S i)) n).
      rewrite (sum_eq (fun i => C (S (S n)) (S i) * P ^ S i * Q ^ (S (S n) - S i) * h (S i))
                      (fun i => P * (C (S n) i * P ^ i * Q ^ (S n - i) * h (S i))
                              + Q * (C (S n) (S i) * P ^ S i * Q ^ (S n - S i) * h (S i)))).
      * rewrite sum_plus.
        rewrite (tech5 (fun j => C (S n) j * P ^ j * Q ^ (S n - j) * h (S j)) n).
        rewrite (decomp_sum (fun j => C (S n) j * P ^ j * Q ^ (S n - j) * h j)) by lia.
        change (pred (S n)) with n.
        rewrite !C_n_0, !C_n_n, !Nat.sub_diag, !Nat.sub_0_r. cbn [pow].
        change (fun i : nat => C (S n) (S i) * (P * P ^ i) * Q ^ (S n - S i) * h (S i))
          with (fun i : nat => C (S n) (S i) * (P * P ^ i) * Q ^ (n - i) * h (S i)).
        rewrite (sum_eq (fun i => P * (C (S n) i * P ^ i * Q ^ (S n - i) * h (S i)))
                        (fun i => C (S n) i * P ^ i * Q ^ (S n - i) * h (S i) * P)) by (intros; ring).
        rewrite (sum_eq (fun i => Q * (C (S n) (S i) * (P * P ^ i) * Q ^ (n - i) * h (S i)))
                        (fun i => C (S n) (S i) * (P * P ^ i) * Q ^ (n - i) * h (S i) * Q)) by (intros; ring).
        rewrite <- !scal_sum. ring.
      * intros i Hi. rewrite <- pascal by lia.
        replace (S (S n) - S i)%nat with (S (S n - S i)) by lia.
        replace (S n - i)%nat with (S (S n - S i)) by lia. cbn [pow]. ring.
Qed.

Corollary slope_is_bernstein : forall n a,
  slope n a = sum_f_R0 (fun j => C n j * P ^ j * Q ^ (n - j) * (a true (S j) - a false j)) n.
Proof. intros n a. exact (bernstein n (fun k => a true (S k) - a false k)). Qed.

(* Entanglement, at every G. *)

Definition scaled (up down : R) (a : bool -> nat -> R) (ok : bool) (k : nat) : R :=
  if ok then up * a true k else down * a false k.

Definition zero_sum (G : nat) (a : bool -> nat -> R) : Prop :=
  forall k, (k <= G)%nat -> INR k * a true k + INR (G - k) * a false k = 0.

Lemma correct_le w : (correct w <= length w)%nat.
Proof. induction w as [|b w IH]; simpl; [lia | unfold hit; destruct (f b); lia]. Qed.

Lemma E_ext_len n : forall x y, (forall w, length w = n -> x w = y w) -> E n x = E n y.
Proof.
  induction n as [|n IH]; intros x y H; simpl; [apply H; reflexivity |].
  apply Sum_ext. intros b. rewrite (IH _ (fun w => y (b :: w))); [reflexivity |].
  intros w Hw. apply H. simpl. now rewrite Hw.
Qed.

Lemma over_classes (u v : R) w :
  over (fun o => if f o then u else v) w = INR (correct w) * u + INR (length w - correct w) * v.
Proof.
  induction w as [|b w IH]; [simpl; ring |]. cbn [over correct length]. rewrite IH. pose proof (correct_le w).
  unfold hit. destruct (f b).
  - rewrite Nat.add_1_l, S_INR. replace (S (length w) - S (correct w))%nat with (length w - correct w)%nat by lia. ring.
  - rewrite Nat.add_0_l. replace (S (length w) - correct w)%nat with (S (length w - correct w)) by lia.
    rewrite S_INR. ring.
Qed.

Lemma balance : forall n a, zero_sum (S n) a ->
  P * E n (fun w => a true (S (correct w))) + Q * E n (fun w => a false (correct w)) = 0.
Proof.
  intros n a Z.
  assert (T : E (S n) (fun w => over (fun o => a (f o) (correct w)) w) = 0).
  { rewrite <- (E_const (S n) 0). apply E_ext_len. intros w Hw.
    rewrite (over_ext _ (fun o => if f o then a true (correct w) else a false (correct w)))
      by (intros b; destruct (f b); reflexivity).
    rewrite over_classes, Hw. apply Z. rewrite <- Hw. apply correct_le. }
  rewrite (exchange n (fun o k => a (f o) k)) in T.
  set (U := E n (fun w => a true (S (correct w)))) in *. set (V := E n (fun w => a false (correct w))) in *.
  rewrite (Sum_ext _ (fun b => U * (pi b * one b) + V * (pi b + (-1) * (pi b * one b)))) in T.
  - rewrite Sum_plus, !Sum_scale, Sum_plus, Sum_scale, pi_one in T. fold P in T. unfold Q.
    apply Rmult_integral in T. destruct T as [T|T].
    + exfalso. revert T. apply not_0_INR. lia.
    + lra.
  - intros b. unfold U, V, one, hit. destruct (f b).
    + rewrite (E_ext n _ (fun w => a true (S (correct w)))) by reflexivity. ring.
    + rewrite (E_ext n _ (fun w => a false (correct w))) by reflexivity. ring.
Qed.

Theorem entanglement : forall n a up down, zero_sum (S n) a ->
  slope n (scaled up down a) = slope n a * (up * Q + down * P).
Proof.
  intros n a up down Z. pose proof (balance n a Z) as H.
  set (U := E n (fun w => a true (S (correct w)))) in *. set (V := E n (fun w => a false (correct w))) in *.
  assert (HS : forall x y, E n (fun w => x * a true (S (correct w)) - y * a false (correct w)) = x * U - y * V).
  { intros x y. rewrite (E_ext n _ (fun w => x * a true (S (correct w)) + (- y) * a false (correct w))) by (intros; ring).
    rewrite E_plus, !E_scale. unfold U, V. ring. }
  unfold slope, scaled. rewrite HS.
  rewrite (E_ext n (fun w => a true (S (correct w)) - a false (correct w))
                   (fun w => 1 * a true (S (correct w)) - 1 * a false (correct w))) by (intros; ring).
  rewrite HS. unfold Q in *.
  replace (up * U - down * V) with
    ((1 * U - 1 * V) * (up * (1 - P) + down * P) + (up - down) * (P * U + (1 - P) * V)) by ring.
  rewrite H. ring.
Qed.

(* Weights in closed form at every G: a constant marginal value, and G / K. *)

Corollary constant_slope : forall n a c, (forall k, (k <= n)%nat -> a true (S k) - a false k = c) -> slope n a = c.
Proof.
  intros n a c H. unfold slope. rewrite <- (E_const n c). apply E_ext_len. intros w Hw.
  apply H. rewrite <- Hw. apply correct_le.
Qed.

Lemma absorption n j : (j <= n)%nat -> C (S n) (S j) * (INR j + 1) = INR (S n) * C n j.
Proof.
  intros Hj. unfold C. replace (S n - S j)%nat with (n - j)%nat by lia.
  change (fact (S n)) with ((S n) * fact n)%nat. change (fact (S j)) with ((S j) * fact j)%nat.
  rewrite !mult_INR, S_INR, (S_INR j). pose proof (INR_fact_neq_0 n). pose proof (INR_fact_neq_0 j).
  pose proof (INR_fact_neq_0 (n - j)). pose proof (pos_INR j). field. repeat split; lra || assumption.
Qed.

Theorem success_share_slope : forall n a,
  (forall k, (k <= n)%nat -> a true (S k) - a false k = INR (S n) / INR (S k)) ->
  P * slope n a = 1 - Q ^ S n.
Proof.
  intros n a H. rewrite slope_is_bernstein.
  rewrite (sum_eq _ (fun j => C (S n) (S j) * P ^ j * Q ^ (n - j))).
  - pose proof (binomial P Q (S n)) as T. replace (P + Q) with 1 in T by (unfold Q; ring). rewrite pow1 in T.
    rewrite (decomp_sum (fun i => C (S n) i * P ^ i * Q ^ (S n - i))) in T by lia.
    change (pred (S n)) with n in T. rewrite C_n_0, Nat.sub_0_r in T.
    rewrite (sum_eq (fun i => C (S n) (S i) * P ^ S i * Q ^ (S n - S i))
                    (fun i => C (S n) (S i) * P ^ i * Q ^ (n - i) * P)) in T
      by (intros; simpl; ring).
    rewrite <- scal_sum in T. cbn [pow] in *. lra.
  - intros j Hj. rewrite H by exact Hj. rewrite <- (Rmult_1_r (C (S n) (S j))).
    replace 1 with ((INR j + 1) * / (INR j + 1)) at 1 by (field; pose proof (pos_INR j); lra).
    rewrite <- Rmult_assoc, absorption by exact Hj. rewrite (S_INR j). unfold Rdiv. ring.
Qed.

End Policy.
