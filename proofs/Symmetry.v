(* Zero sum at every G, and what it buys in a tabular policy: no group and no step size lowers success. *)

Require Import Reals List Lra Lia.
Import ListNotations.
Open Scope R_scope.

(* Rewards of any real values: deviations from the mean sum to zero, whatever they are divided by. *)

Definition total (r : list R) : R := fold_right Rplus 0 r.
Definition mean (r : list R) : R := total r / INR (length r).
Definition advantages (scale : R) (r : list R) : list R := map (fun x => (x - mean r) / scale) r.

Lemma total_shift c s r : total (map (fun x => (x - c) / s) r) = (total r - INR (length r) * c) / s.
Proof.
  induction r as [|x r IH]; [simpl; unfold Rdiv; ring |].
  cbn [map total fold_right length]. fold (total r). fold (total (map (fun x => (x - c) / s) r)).
  rewrite IH, S_INR. unfold Rdiv. ring.
Qed.

Theorem group_symmetry : forall scale r, r <> [] -> total (advantages scale r) = 0.
Proof.
  intros s r H. unfold advantages. rewrite total_shift. unfold mean.
  replace (INR (length r) * (total r / INR (length r))) with (total r).
  - unfold Rdiv. ring.
  - field. apply not_0_INR. destruct r; [contradiction | simpl; lia].
Qed.

(* GRPO on K correct and F wrong rollouts. *)

Definition grpo_plus (K F : R) : R := sqrt (F / K).
Definition grpo_minus (K F : R) : R := - sqrt (K / F).

Lemma sqrt_over x y : x > 0 -> y > 0 -> y * sqrt (x / y) = sqrt (x * y).
Proof.
  intros Hx Hy. rewrite <- (sqrt_square y) at 1 by lra.
  rewrite <- sqrt_mult_alt by nra. f_equal. field. lra.
Qed.

Theorem grpo_zero_sum : forall K F, K > 0 -> F > 0 -> K * grpo_plus K F + F * grpo_minus K F = 0.
Proof.
  intros K F HK HF. unfold grpo_plus, grpo_minus.
  pose proof (sqrt_over F K HF HK). pose proof (sqrt_over K F HK HF). rewrite (Rmult_comm K F) in H0. lra.
Qed.

Theorem update_magnitude : forall K F, K > 0 -> F > 0 ->
  K * Rabs (grpo_plus K F) + F * Rabs (grpo_minus K F)
  = 2 * (K + F) * sqrt (K / (K + F) * (1 - K / (K + F))).
Proof.
  intros K F HK HF. unfold grpo_plus, grpo_minus. rewrite Rabs_Ropp, !Rabs_pos_eq by apply sqrt_pos.
  rewrite sqrt_over, sqrt_over by assumption.
  replace (K / (K + F) * (1 - K / (K + F))) with (F * K / ((K + F) * (K + F))) by (field; lra).
  rewrite sqrt_div_alt by nra. rewrite sqrt_square by lra. rewrite (Rmult_comm K F). field. lra.
Qed.

(* Sure improvement. Hypotheses: a logit of its own for each whole trajectory, equal weights on the rollouts, plain
   gradient ascent of any step eta >= 0, signs, and zero sum. *)

Section Tabular.

Variable B : Type.
Variable correct wrong : list B.   (* the trajectories, by outcome *)
Variable h : B -> R.               (* logits *)
Variable n : B -> nat.             (* how often each was drawn *)
Variable plus minus eta : R.       (* A+, A-, step size *)

Definition mass (l : list B) (x : B -> R) : R := fold_right (fun b t => exp (x b) + t) 0 l.
Definition success (x : B -> R) : R := mass correct x / (mass correct x + mass wrong x).
Definition policy (b : B) : R := exp (h b) / (mass correct h + mass wrong h).
Definition drawn (l : list B) : R := fold_right (fun b t => INR (n b) + t) 0 l.

(* C = sum of the advantages of the group, and Theorem 1 with multiplicities. *)
Definition imbalance : R := drawn correct * plus + drawn wrong * minus.
Definition step (a : R) (b : B) : R := h b + eta * (INR (n b) * a - imbalance * policy b).
Definition moved (is_correct : B -> bool) (b : B) : R := step (if is_correct b then plus else minus) b.

Variable is_correct : B -> bool.
Hypothesis outcomes_correct : forall b, In b correct -> is_correct b = true.
Hypothesis outcomes_wrong : forall b, In b wrong -> is_correct b = false.
Hypothesis some_correct : correct <> [].
Hypothesis signs : plus >= 0 /\ 0 >= minus.
Hypothesis ascent : eta >= 0.
Hypothesis symmetric : imbalance = 0.

Lemma mass_le l x y : (forall b, In b l -> x b <= y b) -> mass l x <= mass l y.
Proof.
  induction l as [|b l IH]; intros H; simpl; [lra |].
  assert (x b <= y b) by (apply H; left; reflexivity).
  assert (exp (x b) <= exp (y b)).
  { destruct (Rle_lt_or_eq_dec _ _ H0) as [L|L]; [left; now apply exp_increasing | rewrite L; lra]. }
  assert (mass l x <= mass l y) by (apply IH; intros c Hc; apply H; now right). unfold mass in *. lra.
Qed.

Lemma mass_pos l x : 0 <= mass l x.
Proof. induction l as [|b l IH]; simpl; [lra | pose proof (exp_pos (x b)); unfold mass in *; lra]. Qed.

Lemma mass_pos_strict l x : l <> [] -> 0 < mass l x.
Proof.
  destruct l as [|b l]; [contradiction | intros _; simpl].
  pose proof (exp_pos (x b)). pose proof (mass_pos l x). unfold mass in *. lra.
Qed.

Theorem sure_improvement : success h <= success (moved is_correct).
Proof.
  assert (UP : mass correct h <= mass correct (moved is_correct)).
  { apply mass_le. intros b Hb. unfold moved, step. rewrite (outcomes_correct b Hb), symmetric.
    pose proof (pos_INR (n b)). destruct signs. assert (0 <= INR (n b) * plus) by (apply Rmult_le_pos; lra).
    assert (0 <= eta * (INR (n b) * plus)) by (apply Rmult_le_pos; lra). lra. }
  assert (DOWN : mass wrong (moved is_correct) <= mass wrong h).
  { apply mass_le. intros b Hb. unfold moved, step. rewrite (outcomes_wrong b Hb), symmetric.
    pose proof (pos_INR (n b)). destruct signs. assert (0 <= INR (n b) * - minus) by (apply Rmult_le_pos; lra).
    assert (0 <= eta * (INR (n b) * - minus)) by (apply Rmult_le_pos; lra). lra. }
  pose proof (mass_pos_strict correct h some_correct). pose proof (mass_pos wrong h).
  pose proof (mass_pos wrong (moved is_correct)).
  unfold success. set (R := mass correct h) in *. set (R' := mass correct (moved is_correct)) in *.
  set (W := mass wrong h) in *. set (W' := mass wrong (moved is_correct)) in *.
  apply (Rmult_le_reg_r ((R + W) * (R' + W'))); [nra |].
  replace (R / (R + W) * ((R + W) * (R' + W'))) with (R * (R' + W')) by (field; lra).
  replace (R' / (R' + W') * ((R + W) * (R' + W'))) with (R' * (R + W)) by (field; lra).
  nra.
Qed.

End Tabular.

(* Beyond the hypotheses: exact first-order changes of P that are negative. *)

(* pi = (1/10 four times | 1/2, 1/10), drawn: one correct and the rarer wrong one, under Negative-Dominant (beta = 10),
   where C = 1/10 - 1; dP = sum_correct pi_b (g_b - sum pi g). *)
Theorem broken_symmetry_can_lower_success :
  let C := 1/10 - 1 in
  let g1 := 1/10 - C * (1/10) in let g2 := - C * (1/10) in let g5 := - C * (1/2) in let g6 := -1 - C * (1/10) in
  let m := 1/10 * g1 + 3/10 * g2 + 1/2 * g5 + 1/10 * g6 in
  1/10 * (g1 - m) + 3/10 * (g2 - m) = -13/500.
Proof. simpl. lra. Qed.

(* A tree of depth two, GRPO, C = 0: root (2/5, 3/5), both children (1/5, 4/5), correct leaves 01 and 10, drawn 10 (A =
   1) and 00 (A = -1). The root's steps are (-1, 1), node 0's (-1 + 1/5, 4/5), node 1's (4/5, -4/5). *)
Theorem shared_prefixes_can_lower_success :
  let r0 := -1 in let r1 := 1 in
  let mr := 2/5 * r0 + 3/5 * r1 in
  let a0 := -1 + 1/5 in let a1 := 4/5 in let ma := 1/5 * a0 + 4/5 * a1 in
  let b0 := 1 - 1/5 in let b1 := - (4/5) in let mb := 1/5 * b0 + 4/5 * b1 in
  2/5 * (4/5) * ((r0 - mr) + (a1 - ma)) + 3/5 * (1/5) * ((r1 - mr) + (b0 - mb)) = -4/125.
Proof. simpl. lra. Qed.
